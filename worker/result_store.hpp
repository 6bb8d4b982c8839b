#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "worker/scratch_file.hpp"

namespace sandbox_worker::worker {

/// Results that wait to be posted: the first 8 MB in memory, the rest in a file without a name, which goes
/// with the process. Executor: one, for everything; what takes long is done on the pool.
class ResultStore {
 public:
  struct Limits {
    std::size_t memory = std::size_t{8} << 20U;
    std::uint64_t file = std::uint64_t{1} << 30U;
  };

  /// One result's text. Give it back with drop().
  class Kept {
   public:
    Kept() = default;
    Kept(Kept&&) = default;
    Kept& operator=(Kept&&) = default;
    std::size_t size() const { return size_; }

   private:
    friend class ResultStore;
    std::variant<std::string, ScratchFile::Range> text_;
    std::size_t size_ = 0;
  };

  /// `directory`: private; the file is made there when it is needed first.
  ResultStore(boost::asio::any_io_executor pool, std::string directory, Limits limits);
  ResultStore(boost::asio::any_io_executor pool, std::string directory)
      : ResultStore(std::move(pool), std::move(directory), Limits()) {}

  /// Into memory in any case; for short texts.
  Kept keep(std::string text);
  /// Where there is room. The error is a sentence: there is none, or the disk failed.
  boost::asio::awaitable<std::expected<Kept, std::string>> put(std::string text);
  /// The texts, one after another with commas between `before` and `after`. They stay kept, and must until
  /// this is done. The error is a sentence.
  boost::asio::awaitable<std::expected<std::string, std::string>> join(std::vector<const Kept*> kept,
                                                                       std::string before, std::string after);
  void drop(Kept& kept);

  std::size_t memory_bytes() const { return memory_bytes_; }
  std::uint64_t file_bytes() const { return file_->bytes(); }

 private:
  const boost::asio::any_io_executor pool_;
  const std::size_t memory_limit_;
  const std::shared_ptr<ScratchFile> file_;  // shared with the work on the pool
  std::size_t memory_bytes_ = 0;
};

}  // namespace sandbox_worker::worker
