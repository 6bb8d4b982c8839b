#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/requests.hpp"
#include "worker/journal_content.hpp"
#include "worker/log.hpp"
#include "worker/record_file.hpp"

namespace sandbox_worker::worker {

/// What of a session must outlive the worker: which calls have begun, results until the service has them, and
/// how to know the processes that were started. A call that stands here is never run again; one that doesn't
/// has not begun.
///
/// Lies in a directory of its own, whose lock the caller holds: `journal`, and `result-<n>` for large
/// results. Small records are written at once on the calling thread, into the page cache. Executor: one, but
/// for open().
class Journal {
 public:
  struct Options {
    boost::asio::any_io_executor pool;  // large results
    std::string directory;              // private, ours
    std::string session;
    std::string work;
  };

  /// Reads what a worker before us has left; what can't be understood is told to the log and forgotten.
  /// Blocks: for the pool. An error when nothing can be written there.
  static std::expected<std::unique_ptr<Journal>, std::string> open(Options options, const Log& log);

  /// The item of the worker before us; empty: there was none.
  const std::string& work_before() const { return work_before_; }
  /// What it may have left running, until take_over().
  const tools::WorkerTrace& processes() const { return content_.processes; }
  /// Calls that have begun and have no answer that we know of.
  std::vector<std::string> begun() const;

  /// Nothing of earlier workers runs any more; from now on processes are marked as of `tag_family`.
  std::expected<void, std::string> take_over(std::uint64_t tag_family);
  bool is_taken_over() const { return file_.has_value(); }
  void shell_started(pid_t pid);

  /// Before a call begins. On an error it must not.
  std::expected<void, std::string> began(const std::string& id);
  /// The call's result, before it is posted; completes when it is written, or can't be (then only the log
  /// says so). A call that hasn't begun is not kept. `result` outlives the wait.
  boost::asio::awaitable<void> finished(const protocol::CallResult& result);
  /// The answer to a call that has begun before us: its result, or that it was interrupted.
  boost::asio::awaitable<protocol::CallResult> recall(std::string id, bool custom);
  /// Nothing more will be posted for it: its result is let go.
  void closed(const std::string& id);
  /// An answer to it was seen in the session, so nobody will run it again: it can be forgotten.
  void answered(const std::string& id);

  /// Whether every call that has begun is known to be answered.
  bool settled() const { return content_.calls.empty(); }
  /// Takes everything away; nothing may be told any more. Blocks: for the pool.
  void remove();

 private:
  Journal(Options options, const Log& log);
  std::expected<void, std::string> load();
  std::expected<void, std::string> rewrite();
  std::expected<void, std::string> append(JournalRecord type, std::string_view payload);
  bool note(JournalRecord type, std::string_view payload);
  void keep_inline(const std::string& id, std::string result);
  boost::asio::awaitable<void> keep_in_file(std::string id, const protocol::CallResult& result);
  void let_go(JournalCall& call);
  std::string result_path(std::uint64_t number) const;
  void remove_result_files(bool all);

  const Options options_;
  const Log& log_;
  std::string work_before_;
  JournalContent content_;
  std::optional<RecordFile> file_;  // nothing until take_over()
  std::uint64_t rewrite_at_ = 0;    // its size then
  std::size_t inline_bytes_ = 0;    // of results in content_
  std::uint64_t file_bytes_ = 0;    // of results in files that this worker wrote
  std::map<std::uint64_t, std::uint64_t> file_sizes_;
  std::uint64_t next_file_ = 1;
};

}  // namespace sandbox_worker::worker
