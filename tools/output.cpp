#include "tools/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/spill.hpp"
#include "tools/utf8.hpp"

namespace sandbox_worker::tools {
namespace {

/// A longer line is no progress display; holding it back would cost memory.
constexpr std::size_t kMaxHeldLine = 16 * 1024;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kShownNul = "\xE2\x90\x80";

bool is_plain(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return value < 0x80 && value != 0 && byte != '\r' && byte != '\x1b';
}

bool is_intermediate(char byte) {
  return byte >= ' ' && byte <= '/';
}

}  // namespace

void TextCleaner::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (state_ == State::text && (partial_.empty() || !is_plain(bytes.front()))) {
      bytes.remove_prefix(take_text(bytes));
    } else {
      step(bytes.front());
      bytes.remove_prefix(1);
    }
  }
}

/// Takes what begins `bytes` and belongs together; gives how many bytes that was.
std::size_t TextCleaner::take_text(std::string_view bytes) {
  if (partial_.empty()) {
    const auto plain =
        static_cast<std::size_t>(std::find_if_not(bytes.begin(), bytes.end(), is_plain) - bytes.begin());
    if (plain > 0) {
      put(bytes.substr(0, plain));
      return plain;
    }
    const int length = utf8_character_length(bytes);
    if (length > 1) {
      put_character(bytes.substr(0, static_cast<std::size_t>(length)));
      return static_cast<std::size_t>(length);
    }
  }
  step(bytes.front());
  return 1;
}

void TextCleaner::step(char byte) {
  switch (state_) {
    case State::escape:
      if (byte == '[')
        state_ = State::control_sequence;
      else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_')
        state_ = State::string;
      else if (is_intermediate(byte))
        state_ = State::charset;
      else
        return end_sequence(byte);
      return;
    case State::charset:
      if (!is_intermediate(byte)) end_sequence(byte);
      return;
    case State::control_sequence:
      if (byte < ' ' || byte >= '@') end_sequence(byte);
      return;
    case State::string_escape:
      state_ = byte == '\\' ? State::text : State::escape;  // a new sequence ends a string as well
      if (state_ == State::escape) step(byte);
      return;
    case State::string:
      // A string that never ends would swallow everything after it, so a new line ends it as well.
      if (byte == '\x1b') state_ = State::string_escape;
      if (byte == '\a' || byte == '\n') state_ = State::text;
      if (byte == '\n') put("\n");
      return;
    case State::text:
      break;
  }
  if (!partial_.empty()) {
    partial_ += byte;
    const int length = utf8_character_length(partial_);
    if (length < 0) return;
    if (length > 0) {
      put_character(std::exchange(partial_, {}));
      return;
    }
    partial_.clear();
    put(kReplacement);
    return step(byte);
  }
  if (byte == '\x1b') {
    state_ = State::escape;
  } else if (byte == '\r') {
    redrawn_ = true;
  } else if (byte == '\0') {
    put(kShownNul);
  } else if (static_cast<unsigned char>(byte) < 0x80) {
    put(std::string_view(&byte, 1));
  } else if (utf8_character_length(std::string_view(&byte, 1)) < 0) {
    partial_.assign(1, byte);
  } else {
    put(kReplacement);
  }
}

/// Ends a sequence with its last byte; one that none can have breaks it off, and is text.
void TextCleaner::end_sequence(char byte) {
  state_ = State::text;
  if (byte < ' ' || byte > '~') step(byte);
}

/// One beyond ASCII. U+009B means the same as ESC [.
void TextCleaner::put_character(std::string_view character) {
  if (character == "\u009B")
    state_ = State::control_sequence;
  else
    put(character);
}

void TextCleaner::put(std::string_view text) {
  if (redrawn_ && text.front() != '\n') line_.clear();
  redrawn_ = false;
  const auto end = text.rfind('\n');
  if (end != std::string_view::npos) {
    flush_line();
    sink_(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  line_ += text;
  if (line_.size() > kMaxHeldLine) flush_line();
}

void TextCleaner::flush_line() {
  if (line_.empty()) return;
  sink_(line_);
  line_.clear();
}

void TextCleaner::finish() {
  if (!partial_.empty()) {
    partial_.clear();
    put(kReplacement);
  }
  flush_line();
  state_ = State::text;
  redrawn_ = false;
}

BoundedText::BoundedText(std::size_t limit) : limit_(limit), head_limit_(limit / 5) {}

void BoundedText::append(std::string_view text) {
  const std::size_t wanted = head_limit_ - head_code_points_;
  if (wanted > 0) {
    const auto taken = text.substr(0, prefix_bytes(text, wanted));
    const std::size_t count = count_code_points(taken);
    head_ += taken;
    head_code_points_ += count;
    code_points_ += count;
    text.remove_prefix(taken.size());
  }
  const std::size_t count = count_code_points(text);
  tail_ += text;
  tail_code_points_ += count;
  code_points_ += count;
  if (tail_code_points_ > 2 * (limit_ - head_limit_)) trim_tail();
}

bool BoundedText::overflows_with(std::string_view text) const noexcept {
  return code_points_ + count_code_points(text) > limit_;
}

void BoundedText::trim_tail() {
  const std::size_t kept = limit_ - head_limit_;
  if (tail_code_points_ <= kept) return;
  tail_.erase(0, prefix_bytes(tail_, tail_code_points_ - kept));
  tail_code_points_ = kept;
}

/// The text has no gap where it is cut: what was dropped earlier lies before the last share of the limit.
std::string BoundedText::str(std::string_view between, std::size_t room) const {
  std::string text = head_ + tail_;
  if (code_points_ <= room) return text;
  const std::size_t tail_begin = count_code_points(text) - (room - room / 5);
  const std::string_view head(text.data(), prefix_bytes(text, room / 5));
  const std::string_view tail = std::string_view(text).substr(prefix_bytes(text, tail_begin));
  return fmt::format("{}{}{}\n{}", head, head.ends_with('\n') ? "" : "\n", between, tail);
}

CallOutput::CallOutput(SpillStore* spill, std::string tool)
    : spill_(spill), tool_(std::move(tool)), cleaner_([this](std::string_view text) { keep(text); }) {}

CallOutput::~CallOutput() = default;

void CallOutput::keep(std::string_view text) {
  if (text_.overflows_with(text)) spill();
  if (file_) file_->append(text);
  text_.append(text);
}

/// Begins the file with what has come, of which nothing is left out yet.
void CallOutput::spill() {
  if (std::exchange(spill_tried_, true)) return;
  if (spill_ != nullptr) file_ = spill_->create(tool_, Freeing::aside);
  if (file_) file_->append(text_.str({}));
}

std::uint64_t CallOutput::end() {
  cleaner_.finish();
  return text_.code_points();
}

std::string CallOutput::finish(std::size_t room) {
  const auto code_points = end();
  if (code_points <= room) return text_.str({});
  spill();
  std::string between = fmt::format("[{} characters left out", code_points - room);
  if (file_)
    between += fmt::format("; {} output is in {}", file_->complete() ? "the whole" : "the beginning of the",
                           file_->path());
  return text_.str(between + "]", room);
}

}  // namespace sandbox_worker::tools
