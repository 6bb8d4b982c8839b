#pragma once

// What the benchmarks of glob and grep look for.

inline constexpr const char* kGrepPatterns[] = {
    "EXPORT_SYMBOL_GPL\\(dev_.*\\)", "spin_lock_irqsave",   "TODO|FIXME|XXX", "\\bstruct\\s+\\w+_ops\\b",
    "no_such_text_anywhere",         "[A-Z]{3,}_[0-9]{4,}", "(?i)deprecated", "^#include <linux/.*\\.h>$",
    "kmalloc|kzalloc|kfree",
};

inline constexpr const char* kGlobPatterns[] = {"**/*.h", "drivers/**/Makefile", "**/{Kconfig,Makefile}"};
