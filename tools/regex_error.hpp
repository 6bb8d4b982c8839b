#pragma once

#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// A sentence for the model on a pattern that RE2 refused: what is wrong, and what to write where RE2 lacks
/// what other engines have. `reason` and `part` are RE2's own words.
std::string regex_error_text(std::string_view pattern, std::string_view reason, std::string_view part);

/// What may be wrong with a pattern that is valid and matched nothing, since other engines take it otherwise;
/// empty: nothing.
std::string_view no_match_advice(std::string_view pattern);

/// For a pattern that is right but too large.
std::string regex_too_large_text();

}  // namespace sandbox_worker::tools
