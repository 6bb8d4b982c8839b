#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/session_server/script.hpp"

namespace session_server {

/// What is wrong with a call's answer; nothing when it is as expected. The call has been answered.
std::vector<std::string> check_answer(const Expectation& expect, const Call& call);

/// What is wrong with a file of the worker's folder.
std::vector<std::string> check_file(const FileCheck& check, const std::filesystem::path& workdir);

/// Puts the worker's folder where a script says `${workdir}`.
void fill_in(std::string& text, const std::string& workdir);
void fill_in(Json& json, const std::string& workdir);
void fill_in(PlannedCall& call, const std::string& workdir);

/// The first line of `text`, cut to `columns`.
std::string one_line(const std::string& text, std::size_t columns);

}  // namespace session_server
