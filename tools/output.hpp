#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/limits.hpp"

namespace sandbox_worker::tools {

/// Turns what a terminal program prints into text, piece by piece: ANSI escapes removed, a line that `\r`
/// wrote again and again reduced to its last state, invalid UTF-8 replaced, NUL shown as U+2400. Memory is
/// bounded: the unfinished line is kept up to 16 KiB, as nobody redraws a longer one.
class TextCleaner {
 public:
  using Sink = std::function<void(std::string_view)>;  // valid UTF-8, cut between characters
  explicit TextCleaner(Sink sink) : sink_(std::move(sink)) {}

  void feed(std::string_view bytes);
  /// What is still held back; the next feed() begins anew.
  void finish();

 private:
  enum class State { text, escape, control_sequence, string, string_escape, charset };
  std::size_t take_text(std::string_view bytes);
  void step(char byte);
  void end_sequence(char byte);
  void put_character(std::string_view character);
  void put(std::string_view text);
  void flush_line();

  Sink sink_;
  State state_ = State::text;
  std::string partial_;   // the beginning of a character that the next bytes complete
  std::string line_;      // the unfinished line
  bool redrawn_ = false;  // a carriage return came: the next text replaces the line
};

/// Keeps the first 20 % and the last 80 % of `limit` code points of what is fed, in bounded memory.
class BoundedText {
 public:
  explicit BoundedText(std::size_t limit = kMaxResultCodePoints);

  /// Valid UTF-8, cut between characters.
  void append(std::string_view text);
  bool empty() const noexcept { return head_.empty(); }
  /// More came than is kept.
  bool overflown() const noexcept { return code_points_ > limit_; }
  bool overflows_with(std::string_view text) const noexcept;
  std::uint64_t code_points() const noexcept { return code_points_; }  // that came
  /// What is kept, or the same shares of `room`, which is no more than the limit; where something is left
  /// out, `between` is put on a line of its own.
  std::string str(std::string_view between, std::size_t room) const;
  std::string str(std::string_view between) const { return str(between, limit_); }

 private:
  void trim_tail();

  std::size_t limit_;
  std::size_t head_limit_;
  std::string head_;
  std::size_t head_code_points_ = 0;
  std::string tail_;  // up to twice of what is kept, so that trimming costs little
  std::size_t tail_code_points_ = 0;
  std::uint64_t code_points_ = 0;
};

class SpillFile;
class SpillStore;

/// The output of one call: cleaned, bounded, and whole in a spill file when it doesn't fit.
class CallOutput {
 public:
  /// `spill` may be null and outlives this.
  CallOutput(SpillStore* spill, std::string tool);
  ~CallOutput();
  CallOutput(const CallOutput&) = delete;
  CallOutput& operator=(const CallOutput&) = delete;

  void feed(std::string_view bytes) { cleaner_.feed(bytes); }
  /// Ends the last line; gives how many code points came in all.
  std::uint64_t end();
  /// The text for the result, with so many of them at most; the object can be dropped afterwards.
  std::string finish(std::size_t room = kMaxResultCodePoints);

 private:
  void keep(std::string_view text);
  void spill();

  SpillStore* spill_;
  std::string tool_;
  TextCleaner cleaner_;
  BoundedText text_;
  std::unique_ptr<SpillFile> file_;
  bool spill_tried_ = false;
};

}  // namespace sandbox_worker::tools
