#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "tools/environment.hpp"
#include "tools/file_lock.hpp"
#include "tools/search_slots.hpp"
#include "tools/spill.hpp"
#include "tools/toolset.hpp"
#include "tools/workspace.hpp"
#include "worker/config.hpp"

namespace sandbox_worker::worker {

/// What the tools stand on: the main thread's event loop, the pools, the directories. Lives as long as the
/// process serves; stop what uses it first.
class Machine {
 public:
  /// The error is a sentence for the operator.
  static std::expected<std::unique_ptr<Machine>, std::string> open(const Config& config,
                                                                   const Environment& environment);

  boost::asio::io_context& io() { return io_; }
  /// For the worker's own work: decoding, encoding, its files. No tool holds it up.
  boost::asio::any_io_executor pool() { return pool_.get_executor(); }
  /// For the tools' work, which may take as long as a call may.
  boost::asio::any_io_executor tool_pool() { return tool_pool_.get_executor(); }
  /// Of the worker's private files.
  const std::string& runtime_dir() const { return runtime_dir_; }

  /// Makes the directory of that name for output that doesn't fit into a result; what lies there already
  /// stays readable. Once, before the first tool is made. Blocks for a few system calls.
  std::expected<void, std::string> open_output(const std::string& name);
  /// Pointers into this object.
  tools::ToolsetOptions tool_options();
  /// Ends the pools' threads. False where one hasn't ended after a second: what hangs in the kernel can't be
  /// joined, so the process should end without the destructor.
  bool stop_pools();
  /// Removes what the destructor would remove, for an end without it.
  void remove_files() {
    if (spill_) spill_->remove();
  }

 private:
  Machine(tools::Workspace workspace, std::string runtime_dir, unsigned threads);

  const unsigned threads_;
  tools::SearchSlots search_slots_;
  boost::asio::io_context io_{1};
  tools::Workspace workspace_;
  tools::FileLocks file_locks_;
  const std::string runtime_dir_;
  std::string spill_dir_;                     // the runtime directory, or another one
  std::unique_ptr<tools::SpillStore> spill_;  // nothing until open_output()
  tools::Environment environment_;
  std::string home_;
  std::string xdg_config_;
  tools::Limits limits_;
  bool private_files_ = false;
  // Last, so that they are joined first: a search that was left to itself uses what is above.
  boost::asio::thread_pool pool_{2};  // a large event of the stream doesn't wait for one of the history
  boost::asio::thread_pool tool_pool_;
};

}  // namespace sandbox_worker::worker
