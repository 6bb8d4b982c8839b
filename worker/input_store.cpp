#include "worker/input_store.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "tools/offload.hpp"
#include "worker/limits.hpp"
#include "worker/scratch_file.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using nlohmann::json;
using protocol::ToolUse;
using Outcome = std::expected<json, std::string>;

struct InputStore::State {
  State(asio::any_io_executor on, std::string directory, Limits limits)
      : pool(std::move(on)), memory_limit(limits.memory), file(std::move(directory), "inputs", limits.file) {}

  bool take_memory(std::size_t bytes) {
    auto taken = memory.load();
    do {
      if (bytes > memory_limit || taken > memory_limit - bytes) return false;
    } while (!memory.compare_exchange_weak(taken, taken + bytes));
    return true;
  }

  const asio::any_io_executor pool;
  const std::size_t memory_limit;
  std::atomic<std::size_t> memory = 0;
  ScratchFile file;
};

/// One of: so many bytes of memory, a range of the file, or why there is neither.
class InputStore::Kept : public protocol::KeptInput {
 public:
  explicit Kept(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~Kept() override {
    state_->memory -= memory_;
    if (!range_) return;
    state_->file.release(*range_);
    asio::post(state_->pool, [state = state_, range = *range_] { state->file.punch_hole(range); });
  }

  void stay_in_memory(std::size_t bytes) { memory_ = bytes; }
  void move_to_file(const std::string& text) {
    const auto range = state_->file.reserve(text.size());
    if (!range) {
      refusal_ = range.error();
      return;
    }
    range_ = *range;
    if (auto written = state_->file.write(*range, text); !written) refusal_ = std::move(written.error());
  }

  const std::string& refusal() const { return refusal_; }
  const std::optional<ScratchFile::Range>& range() const { return range_; }

 private:
  const std::shared_ptr<State> state_;
  std::size_t memory_ = 0;
  std::optional<ScratchFile::Range> range_;
  std::string refusal_;
};

namespace {

/// What we have written ourselves.
Outcome read_back(const ScratchFile& file, ScratchFile::Range range) {
  std::string text;
  if (auto read = file.append_to(text, range); !read) return std::unexpected(std::move(read.error()));
  json input = json::parse(text, nullptr, false);
  if (input.is_discarded()) return std::unexpected("the file of waiting inputs is damaged");
  return Outcome(std::move(input));
}

}  // namespace

InputStore::InputStore(asio::any_io_executor pool, std::string directory, Limits limits)
    : state_(std::make_shared<State>(std::move(pool), std::move(directory), limits)) {}

void InputStore::take_in(ToolUse& call) {
  if (!call.input) return;
  auto kept = std::make_shared<Kept>(state_);
  if (state_->take_memory(call.bytes)) {
    kept->stay_in_memory(call.bytes);
  } else {
    kept->move_to_file(call.input->dump(-1, ' ', false, json::error_handler_t::replace));
    call.input.reset();
  }
  call.kept = std::move(kept);
}

asio::awaitable<Outcome> InputStore::bring_back(std::shared_ptr<protocol::KeptInput> kept) {
  const auto ours = std::dynamic_pointer_cast<const Kept>(std::move(kept));
  if (!ours || !ours->range()) {
    co_return std::unexpected(ours && !ours->refusal().empty() ? ours->refusal() : "the input is gone");
  }
  if (!ours->refusal().empty()) co_return std::unexpected(ours->refusal());
  const auto range = *ours->range();
  if (range.size < kMaxInlineBytes) co_return read_back(state_->file, range);
  co_return co_await tools::offload(state_->pool, [state = state_, range](const std::stop_token&) {
    return read_back(state->file, range);
  });
}

std::size_t InputStore::memory_bytes() const {
  return state_->memory;
}

std::uint64_t InputStore::file_bytes() const {
  return state_->file.bytes();
}

}  // namespace sandbox_worker::worker
