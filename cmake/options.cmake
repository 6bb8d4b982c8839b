# How every target of ours is compiled: one interface target, so that nothing is set globally.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are only cached with these; the base directory lets clones share results.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# Sanitizers change the ABI of nothing but must be on everywhere, third-party code that we compile included.
add_library(sandbox_worker_build INTERFACE)
target_compile_options(sandbox_worker_build INTERFACE -Xclang -fno-pch-timestamp)
target_link_options(sandbox_worker_build INTERFACE -fuse-ld=lld)
if(SANDBOX_WORKER_SANITIZE)
  target_compile_options(sandbox_worker_build INTERFACE
    -fsanitize=${SANDBOX_WORKER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sandbox_worker_build INTERFACE -fsanitize=${SANDBOX_WORKER_SANITIZE})
endif()
if(SANDBOX_WORKER_STATIC)
  target_link_options(sandbox_worker_build INTERFACE -static)
endif()

add_library(sandbox_worker_options INTERFACE)
target_link_libraries(sandbox_worker_options INTERFACE sandbox_worker_build)
target_compile_options(sandbox_worker_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
target_include_directories(sandbox_worker_options INTERFACE ${PROJECT_SOURCE_DIR})
