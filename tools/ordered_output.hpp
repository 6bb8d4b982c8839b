#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sandbox_worker::tools {

/// Lines of matches, with the files that they are from.
struct MatchChunk {
  struct File {
    std::size_t bytes;  // of `text`
    std::uint64_t lines;
    bool continued;  // the chunk before had lines of it too
  };
  std::string text;
  std::vector<File> files;
};

/// Puts what threads find at the same time into one order. Pieces are numbered from 0 without gaps; each is
/// begun by one thread, which may add to it and must finish it. What has to wait for its turn is bounded:
/// threads that are too far ahead wait instead.
class OrderedOutput {
 public:
  using Sink = std::function<void(const MatchChunk&)>;

  /// `sink` is called by one thread at a time.
  explicit OrderedOutput(Sink sink) : sink_(std::move(sink)) {}

  /// Hands on a part of piece `number`, once its turn has come.
  void add(std::uint64_t number, const MatchChunk& chunk);
  /// Ends piece `number`.
  void finish(std::uint64_t number, MatchChunk chunk);

 private:
  const Sink sink_;

  std::mutex mutex_;  // guards all below
  std::condition_variable turn_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, MatchChunk> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace sandbox_worker::tools
