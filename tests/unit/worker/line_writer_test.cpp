#include "worker/line_writer.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "tools/unique_fd.hpp"

using sandbox_worker::tools::UniqueFd;
using sandbox_worker::worker::LineWriter;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  explicit Pipe(int flags = O_CLOEXEC) {
    int ends[2];
    REQUIRE(::pipe2(ends, flags) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  /// Until the other end is closed.
  std::string read_all() const {
    std::string text;
    char buffer[4096];
    for (;;) {
      const auto size = ::read(reader.get(), buffer, sizeof buffer);
      if (size <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(size));
    }
  }
  /// Until the text ends with `end`.
  std::string read_to(std::string_view end) const {
    std::string text;
    char byte = 0;
    while (!text.ends_with(end) && ::read(reader.get(), &byte, 1) == 1) text.push_back(byte);
    return text;
  }

  UniqueFd reader;
  UniqueFd writer;
};

std::string lost_line(std::size_t count) {
  return fmt::format("lost {}\n", count);
}

}  // namespace

TEST_CASE("line writer: all lines come, in order, by the time it is gone") {
  Pipe pipe;
  std::string expected;
  {
    LineWriter writer(pipe.writer.get(), lost_line);
    for (int i = 0; i < 1000; ++i) {
      const auto line = fmt::format("{}\n", i);
      expected += line;
      writer.push(line);
    }
  }
  pipe.writer.reset();
  CHECK(pipe.read_all() == expected);
}

TEST_CASE("line writer: flush says whether all is written") {
  Pipe pipe;
  LineWriter writer(pipe.writer.get(), lost_line);
  CHECK(writer.flush());
  writer.push("x\n");
  CHECK(writer.flush());
  CHECK(pipe.read_to("\n") == "x\n");
}

TEST_CASE("line writer: a pipe that nobody reads holds up neither the callers nor the end") {
  Pipe pipe;
  const auto began = std::chrono::steady_clock::now();
  {
    LineWriter writer(pipe.writer.get(), lost_line);
    const std::string line(1000, 'x');
    for (int i = 0; i < 2000; ++i) writer.push(line + "\n");
    CHECK(!writer.flush());
  }
  CHECK(std::chrono::steady_clock::now() - began < 5s);
  // Its thread ends with the process, or when the reader goes; nobody knows when it has used the other end
  // last.
  pipe.reader.reset();
  static_cast<void>(pipe.writer.release());
}

TEST_CASE("line writer: beyond the bound the oldest lines go, and their number stands in their place") {
  for (const int flags : {O_CLOEXEC, O_CLOEXEC | O_NONBLOCK}) {
    Pipe pipe(flags);
    if (flags & O_NONBLOCK) ::fcntl(pipe.reader.get(), F_SETFL, 0);
    LineWriter writer(pipe.writer.get(), lost_line);
    const std::string filler(990, '.');
    constexpr std::size_t kLines = 2000;
    for (std::size_t i = 0; i < kLines; ++i) writer.push(fmt::format("{:06} {}\n", i, filler));
    const std::string text = pipe.read_to(fmt::format("{:06} {}\n", kLines - 1, filler));
    std::size_t lines = 0;
    std::size_t lost = 0;
    std::size_t next = 0;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      const auto line = text.substr(at, text.find('\n', at) - at);
      if (line.starts_with("lost ")) {
        lost += std::stoul(line.substr(5));
        next += std::stoul(line.substr(5));
      } else {
        CHECK(std::stoul(line.substr(0, 6)) == next++);
        ++lines;
      }
    }
    CHECK(lost > 0);
    CHECK(lines + lost == kLines);
    CHECK(writer.flush());
  }
}

TEST_CASE("line writer: a reader that is gone is nobody's trouble") {
  Pipe pipe;
  pipe.reader.reset();
  LineWriter writer(pipe.writer.get(), lost_line);
  writer.push("to nobody\n");
  CHECK(writer.flush());
}
