#include "worker/result_store.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "tools/offload.hpp"
#include "worker/limits.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using Outcome = std::expected<std::string, std::string>;

ResultStore::ResultStore(asio::any_io_executor pool, std::string directory, Limits limits)
    : pool_(std::move(pool)),
      memory_limit_(limits.memory),
      file_(std::make_shared<ScratchFile>(std::move(directory), "results", limits.file)) {}

ResultStore::Kept ResultStore::keep(std::string text) {
  Kept kept;
  kept.size_ = text.size();
  memory_bytes_ += text.size();
  kept.text_ = std::move(text);
  return kept;
}

asio::awaitable<std::expected<ResultStore::Kept, std::string>> ResultStore::put(std::string text) {
  if (memory_bytes_ + text.size() <= memory_limit_) co_return keep(std::move(text));
  const auto range = file_->reserve(text.size());
  if (!range) co_return std::unexpected(range.error());
  Kept kept;
  kept.size_ = text.size();
  kept.text_ = *range;
  auto written =
      co_await tools::offload(pool_, [file = file_, bytes = std::move(text), to = *range](
                                         const std::stop_token&) { return file->write(to, bytes); });
  if (written) co_return kept;
  drop(kept);
  co_return std::unexpected(std::move(written.error()));
}

asio::awaitable<Outcome> ResultStore::join(std::vector<const Kept*> kept, std::string before,
                                           std::string after) {
  struct Source {
    const std::string* text;
    ScratchFile::Range range;
  };
  std::vector<Source> sources;
  std::size_t size = before.size() + after.size() + kept.size();
  bool on_disk = false;
  for (const Kept* one : kept) {
    const auto* range = std::get_if<ScratchFile::Range>(&one->text_);
    sources.push_back({std::get_if<std::string>(&one->text_), range ? *range : ScratchFile::Range{}});
    size += one->size_;
    on_disk = on_disk || range;
  }
  const auto work = [file = file_, sources = std::move(sources), before = std::move(before),
                     after = std::move(after), size](const std::stop_token&) -> Outcome {
    std::string whole;
    whole.reserve(size);
    whole += before;
    for (const auto& source : sources) {
      if (&source != &sources.front()) whole += ',';
      if (source.text) {
        whole += *source.text;
      } else if (auto read = file->append_to(whole, source.range); !read) {
        return std::unexpected(std::move(read.error()));
      }
    }
    whole += after;
    return whole;
  };
  if (!on_disk && size < kMaxInlineBytes) co_return work({});
  co_return co_await tools::offload(pool_, work);
}

void ResultStore::drop(Kept& kept) {
  if (const auto* range = std::get_if<ScratchFile::Range>(&kept.text_)) {
    file_->release(*range);
    asio::post(pool_, [file = file_, range = *range] { file->punch_hole(range); });
  } else {
    memory_bytes_ -= kept.size_;
  }
  kept = Kept();
}

}  // namespace sandbox_worker::worker
