#include "tests/session_server/console.hpp"

#include <fmt/format.h>

#include "tests/session_server/expectation.hpp"

namespace session_server {
namespace {

constexpr std::size_t kColumns = 64;

std::string described(const NewCall& call) {
  for (const char* field : {"command", "file_path", "pattern"}) {
    const Json value = call.input.is_object() ? call.input.value(field, Json()) : Json();
    if (value.is_string()) return call.name + " " + one_line(value.get<std::string>(), kColumns);
  }
  return call.name + " " +
         one_line(call.input.dump(-1, ' ', false, Json::error_handler_t::replace), kColumns);
}

std::string mark_and_time(const Call& call) {
  const Answer& answer = call.answers.front();
  const double took = std::chrono::duration<double, std::milli>(answer.at - call.at).count();
  return fmt::format("{} {:.{}f} ms", answer.is_error ? "✗" : "✓", took, took < 10 ? 1 : 0);
}

std::string outcome(const Call& call) {
  const Json& content = call.answers.front().content;
  const std::string type = content.empty() ? "" : content.front().value("type", "");
  return mark_and_time(call) + " · " + (type == "text" ? one_line(text_of(content), kColumns) : type);
}

}  // namespace

void Console::put(const std::string& text) {
  if (out_ == nullptr) return;
  std::fputs(text.c_str(), out_);
  std::fflush(out_);
}

void Console::end_line() {
  if (!open_call_.empty()) put("\n");
  open_call_.clear();
}

void Console::running(const std::string& what) {
  end_line();
  put(fmt::format("running · {}\n", what));
}

void Console::made(const NewCall& call) {
  end_line();
  put("→ " + described(call));
  open_call_ = call.id;
}

void Console::answered(const Call& call) {
  if (open_call_ != call.made.id) {
    end_line();
    put("→ " + described(call.made));
  }
  put(" · " + outcome(call) + "\n");
  open_call_.clear();
}

void Console::note(const std::string& text) {
  end_line();
  put("  " + text + "\n");
}

void Console::done(const std::string& summary) {
  end_line();
  put("done · " + summary + "\n");
}

void Console::problem(const std::string& text) {
  end_line();
  put("  ✗ " + text + "\n");
}

void Console::result(const Call& call) {
  end_line();
  for (auto& block : call.answers.front().content) {
    if (block.value("type", "") == "text") {
      put(block.value("text", "") + "\n");
    } else {
      put(fmt::format("({} of {} bytes in base64)\n", block.value("type", ""),
                      block["source"].value("data", "").size()));
    }
  }
  put("  " + mark_and_time(call) + "\n");
}

}  // namespace session_server
