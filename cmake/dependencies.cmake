# Everything here comes from Debian 12's packages (see packages.txt).
find_package(Threads REQUIRED)
set(Boost_USE_STATIC_LIBS ON)
set(OPENSSL_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS filesystem url)
find_package(OpenSSL 3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2 REQUIRED)
# Their packages' own CMake and pkg-config files know only the shared libraries.
find_library(RE2_LIBRARY libre2.a REQUIRED)
find_library(CARES_LIBRARY libcares.a REQUIRED)
# Debian's fmt library is shared only.
add_library(fmt_compiled STATIC ${PROJECT_SOURCE_DIR}/cmake/fmt.cpp)
target_link_libraries(fmt_compiled PRIVATE sandbox_worker_build)
# Debian's spdlog library needs its shared fmt; one file of ours includes the headers instead.
add_library(spdlog_headers INTERFACE)
target_compile_definitions(spdlog_headers INTERFACE SPDLOG_FMT_EXTERNAL SPDLOG_HEADER_ONLY)
target_link_libraries(spdlog_headers INTERFACE fmt_compiled)

# Asio, Beast and Process v2 are compiled once, here, and not again in every file that includes them.
add_library(boost_asio STATIC ${PROJECT_SOURCE_DIR}/cmake/boost_asio.cpp)
target_compile_definitions(boost_asio PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_PROCESS_V2_SEPARATE_COMPILATION
  BOOST_BEAST_SEPARATE_COMPILATION BOOST_BEAST_USE_STD_STRING_VIEW)
target_link_libraries(boost_asio
  PUBLIC Boost::headers Boost::filesystem OpenSSL::SSL OpenSSL::Crypto Threads::Threads
  PRIVATE sandbox_worker_build)
