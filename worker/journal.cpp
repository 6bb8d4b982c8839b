#include "worker/journal.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>
#include <set>
#include <utility>

#include "tools/offload.hpp"
#include "tools/process_table.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// A result up to this size goes into the journal itself, on the main thread; larger ones into files, on the
/// pool.
constexpr std::size_t kMaxInlineResult = 16 * 1024;
/// So many bytes of results wait in the journal itself; a rewrite of it stays below a millisecond.
constexpr std::size_t kMaxInlineBytes = 256 * 1024;
/// What is appended before the file is written anew.
constexpr std::uint64_t kMaxGrowth = 1024 * 1024;
/// No journal of ours comes near.
constexpr std::size_t kMaxJournalBytes = 64 * 1024 * 1024;
/// Results that wait in files, maybe in a file system that is memory. One beyond is posted, but not kept: it
/// would be told as interrupted.
constexpr std::uint64_t kMaxFileBytes = 64 * 1024 * 1024;

constexpr std::string_view kResultPrefix = "result-";
constexpr const char* kInterrupted =
    "interrupted: the worker ended while this call ran; it may have taken effect and was not run again";

std::size_t size_of(const protocol::CallResult& result) {
  std::size_t bytes = 0;
  for (const auto& block : result.content) {
    const auto* text = std::get_if<protocol::TextBlock>(&block);
    bytes += text ? text->text.size() : std::get<protocol::DataBlock>(block).base64.size();
  }
  return bytes;
}

std::optional<std::uint64_t> result_number(std::string_view name) {
  if (!name.starts_with(kResultPrefix)) return std::nullopt;
  name.remove_prefix(kResultPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

protocol::CallResult interrupted(std::string id, bool custom) {
  protocol::CallResult result;
  result.call_id = std::move(id);
  result.custom = custom;
  result.is_error = true;
  result.content.emplace_back(protocol::TextBlock{kInterrupted});
  return result;
}

}  // namespace

Journal::Journal(Options options, const Log& log) : options_(std::move(options)), log_(log) {}

std::expected<std::unique_ptr<Journal>, std::string> Journal::open(Options options, const Log& log) {
  std::unique_ptr<Journal> journal(new Journal(std::move(options), log));
  if (auto loaded = journal->load(); !loaded) return std::unexpected(loaded.error());
  return journal;
}

std::expected<void, std::string> Journal::load() {
  const auto boot = tools::boot_id();
  auto bytes = read_private_file(options_.directory + "/journal", kMaxJournalBytes);
  if (!bytes) {
    log_.warn("a journal that can't be read is ignored", {{"why", bytes.error()}});
  } else if (!bytes->empty()) {
    auto decoded = decode_journal(*bytes);
    const bool ours = decoded && decoded->content.header.session == options_.session;
    if (ours) {
      if (decoded->torn_bytes > 0) {
        log_.info("the journal's last record was cut", {{"bytes", decoded->torn_bytes}});
      }
      content_ = std::move(decoded->content);
      work_before_ = content_.header.work;
      if (content_.header.boot_id != boot) content_.processes = {};
    } else {
      log_.warn("a journal is ignored", {{"why", decoded ? "another session's" : decoded.error()}});
    }
  }
  content_.header = {options_.session, options_.work, boot};
  for (const auto& [id, call] : content_.calls) inline_bytes_ += call.result.size();
  remove_result_files(false);
  return {};
}

/// Those that no call refers to, or all.
void Journal::remove_result_files(bool all) {
  std::set<std::uint64_t> used;
  for (const auto& [id, call] : content_.calls) {
    if (call.file && !all) used.insert(*call.file);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(options_.directory.c_str()), ::closedir);
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir.get())) {
    const auto number = result_number(entry->d_name);
    if (!number) continue;
    next_file_ = std::max(next_file_, *number + 1);
    if (!used.contains(*number)) ::unlink(result_path(*number).c_str());
  }
}

std::vector<std::string> Journal::begun() const {
  std::vector<std::string> ids;
  ids.reserve(content_.calls.size());
  for (const auto& [id, call] : content_.calls) ids.push_back(id);
  return ids;
}

std::expected<void, std::string> Journal::take_over(std::uint64_t tag_family) {
  content_.processes = {};
  content_.processes.tag_families.push_back(tag_family);
  return rewrite();
}

std::expected<void, std::string> Journal::rewrite() {
  const auto bytes = content_.encode();
  auto file = RecordFile::replace(options_.directory + "/journal", bytes);
  if (!file) return std::unexpected(file.error());
  file_.emplace(std::move(*file));
  rewrite_at_ = file_->size() + kMaxGrowth;
  return {};
}

std::expected<void, std::string> Journal::append(JournalRecord type, std::string_view payload) {
  return file_->append(static_cast<std::uint8_t>(type), payload);
}

/// Something that a call doesn't depend on; false, with a line in the log, when it isn't written. `content_`
/// knows it already.
bool Journal::note(JournalRecord type, std::string_view payload) {
  if (!file_) return true;  // take_over() writes all that is known then
  const auto added = append(type, payload);
  if (!added) log_.error("the journal can't be written", {{"why", added.error()}});
  if (file_->size() < rewrite_at_) return added.has_value();
  if (auto rewritten = rewrite(); !rewritten) {
    log_.warn("the journal can't be written anew", {{"why", rewritten.error()}});
    rewrite_at_ = file_->size() + kMaxGrowth;
  }
  return added.has_value();
}

void Journal::shell_started(pid_t pid) {
  const auto info = tools::process_info(pid);
  if (!info) return;
  const tools::ShellTrace shell{pid, info->begun};
  content_.processes.shells.push_back(shell);
  note(JournalRecord::shell, encode_shell(shell));
}

std::expected<void, std::string> Journal::began(const std::string& id) {
  if (content_.calls.contains(id)) return std::unexpected("it has begun already");
  auto added = append(JournalRecord::began, id);
  if (!added) return added;
  content_.calls.try_emplace(id);
  return {};
}

asio::awaitable<void> Journal::finished(const protocol::CallResult& result) {
  const auto found = content_.calls.find(result.call_id);
  if (found == content_.calls.end() || !found->second.result.empty() || found->second.file) co_return;
  const auto size = size_of(result);
  if (!has_room(options_.directory, size)) {
    log_.warn("a result is not kept for the case that the worker ends: the disk is nearly full",
              {{"id", result.call_id}, {"bytes", size}});
  } else if (size <= kMaxInlineResult && inline_bytes_ + size <= kMaxInlineBytes) {
    keep_inline(result.call_id, pack_result(result));
  } else if (file_bytes_ + size <= kMaxFileBytes) {
    co_await keep_in_file(result.call_id, result);
  } else {
    log_.warn("a result is not kept for the case that the worker ends: too many wait",
              {{"id", result.call_id}, {"bytes", size}});
  }
}

void Journal::keep_inline(const std::string& id, std::string result) {
  JournalCall& call = content_.calls[id];
  const auto payload = encode_finished(id, result);
  inline_bytes_ += result.size();
  call.result = std::move(result);
  if (!note(JournalRecord::finished, payload)) let_go(call);
}

asio::awaitable<void> Journal::keep_in_file(std::string id, const protocol::CallResult& result) {
  const auto number = next_file_++;
  const auto size = size_of(result);
  file_bytes_ += size;  // reserved while it is written
  const auto written = co_await tools::offload(
      options_.pool,
      [path = result_path(number), &result](const std::stop_token&) -> std::optional<std::string> {
        auto outcome = write_private_file(path, pack_result_file(pack_result(result)));
        return outcome ? std::nullopt : std::optional(std::move(outcome.error()));
      });
  file_sizes_[number] = size;
  const auto found = content_.calls.find(id);  // it may have been answered meanwhile
  JournalCall forgotten;
  JournalCall& call = found == content_.calls.end() ? forgotten : found->second;
  call.file = number;
  if (written)
    log_.warn("a result is not kept for the case that the worker ends", {{"id", id}, {"why", *written}});
  const bool keep = !written && &call != &forgotten &&
                    note(JournalRecord::finished_in_file, encode_finished_in_file(id, number));
  if (!keep) let_go(call);
}

asio::awaitable<protocol::CallResult> Journal::recall(std::string id, bool custom) {
  std::optional<protocol::CallResult> result;
  if (const auto found = content_.calls.find(id); found != content_.calls.end()) {
    if (found->second.file) {
      const auto path = result_path(*found->second.file);
      result = co_await tools::offload(options_.pool,
                                       [path](const std::stop_token&) -> std::optional<protocol::CallResult> {
                                         const auto bytes = read_private_file(path, 2 * kMaxFileBytes);
                                         return bytes ? unpack_result_file(*bytes) : std::nullopt;
                                       });
    } else if (!found->second.result.empty()) {
      result = unpack_result(found->second.result);
    }
  }
  // A result of another call would be worse than none.
  if (!result || result->call_id != id || result->custom != custom)
    co_return interrupted(std::move(id), custom);
  co_return *std::move(result);
}

void Journal::closed(const std::string& id) {
  if (const auto found = content_.calls.find(id); found != content_.calls.end()) let_go(found->second);
}

void Journal::answered(const std::string& id) {
  const auto found = content_.calls.find(id);
  if (found == content_.calls.end()) return;
  let_go(found->second);
  content_.calls.erase(found);
  note(JournalRecord::answered, id);
}

void Journal::let_go(JournalCall& call) {
  inline_bytes_ -= call.result.size();
  call.result.clear();
  if (!call.file) return;
  // To take a large file away takes its time.
  asio::post(options_.pool, [path = result_path(*call.file)] { ::unlink(path.c_str()); });
  if (const auto size = file_sizes_.extract(*call.file)) file_bytes_ -= size.mapped();
  call.file.reset();
}

std::string Journal::result_path(std::uint64_t number) const {
  return fmt::format("{}/{}{}", options_.directory, kResultPrefix, number);
}

void Journal::remove() {
  file_.reset();
  remove_result_files(true);
  ::unlink((options_.directory + "/journal").c_str());
  ::rmdir(options_.directory.c_str());
}

}  // namespace sandbox_worker::worker
