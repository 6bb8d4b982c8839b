#include "worker/journal_content.hpp"

#include <utility>

#include "protocol/event.hpp"

namespace sandbox_worker::worker {
namespace {

/// Changes with the meaning of any record.
constexpr std::string_view kMagic = "sandbox-worker journal 1";

/// More blocks than any tool gives.
constexpr std::uint64_t kMaxBlocks = 1000;

std::uint8_t number_of(JournalRecord type) {
  return static_cast<std::uint8_t>(type);
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= protocol::kMaxIdBytes;
}

std::optional<JournalHeader> decode_header(const Record& record) {
  FieldReader fields(record.payload);
  if (record.type != number_of(JournalRecord::header) || fields.text() != kMagic) return std::nullopt;
  JournalHeader header;
  header.session = fields.text();
  header.work = fields.text();
  header.boot_id = fields.text();
  if (!fields.complete()) return std::nullopt;
  return header;
}

void decode_shell(FieldReader& fields, JournalContent& content) {
  const auto pid = fields.number();
  const auto start_time = fields.number();
  // Never 1 or 0: those are not shells, and kill() takes them for more.
  if (!fields.complete() || pid <= 1 || pid > INT32_MAX) return;
  content.processes.shells.push_back({static_cast<pid_t>(pid), start_time});
}

void decode_finished(FieldReader& fields, JournalContent& content, bool in_file) {
  const auto id = fields.text();
  JournalCall call;
  if (in_file) {
    call.file = fields.number();
  } else {
    call.result = fields.text();
  }
  if (const auto found = content.calls.find(id); found != content.calls.end() && fields.complete()) {
    found->second = std::move(call);
  }
}

void apply(const Record& record, JournalContent& content) {
  FieldReader fields(record.payload);
  switch (static_cast<JournalRecord>(record.type)) {
    case JournalRecord::processes:
      if (const auto family = fields.number(); fields.complete()) {
        content.processes.tag_families.push_back(family);
      }
      break;
    case JournalRecord::shell:
      decode_shell(fields, content);
      break;
    case JournalRecord::began:
      if (is_id(record.payload)) content.calls.try_emplace(std::string(record.payload));
      break;
    case JournalRecord::finished:
      decode_finished(fields, content, false);
      break;
    case JournalRecord::finished_in_file:
      decode_finished(fields, content, true);
      break;
    case JournalRecord::answered:
      if (const auto found = content.calls.find(record.payload); found != content.calls.end()) {
        content.calls.erase(found);
      }
      break;
    case JournalRecord::header:
      break;
  }
}

void encode_block(FieldWriter& fields, const protocol::ResultBlock& block) {
  if (const auto* text = std::get_if<protocol::TextBlock>(&block)) {
    fields.text({}).text({}).text(text->text);
  } else {
    const auto& data = std::get<protocol::DataBlock>(block);
    fields.text(data.type).text(data.media_type).text(data.base64);
  }
}

protocol::ResultBlock decode_block(FieldReader& fields) {
  std::string type(fields.text());
  std::string media_type(fields.text());
  std::string content(fields.text());
  if (type.empty()) return protocol::TextBlock{std::move(content)};
  return protocol::DataBlock{std::move(type), std::move(media_type), std::move(content)};
}

}  // namespace

std::string encode_header(const JournalHeader& header) {
  return FieldWriter().text(kMagic).text(header.session).text(header.work).text(header.boot_id).take();
}

std::string encode_shell(const tools::ShellTrace& shell) {
  return FieldWriter().number(static_cast<std::uint64_t>(shell.pid)).number(shell.start_time).take();
}

std::string encode_finished(std::string_view id, std::string_view result) {
  return FieldWriter().text(id).text(result).take();
}

std::string encode_finished_in_file(std::string_view id, std::uint64_t file) {
  return FieldWriter().text(id).number(file).take();
}

std::string JournalContent::encode() const {
  std::string file;
  const auto add = [&](JournalRecord type, std::string_view payload) {
    append_record(file, 0, number_of(type), payload);
  };
  add(JournalRecord::header, encode_header(header));
  for (const auto family : processes.tag_families) {
    add(JournalRecord::processes, FieldWriter().number(family).take());
  }
  for (const auto& shell : processes.shells) add(JournalRecord::shell, encode_shell(shell));
  for (const auto& [id, call] : calls) {
    add(JournalRecord::began, id);
    if (!call.result.empty()) add(JournalRecord::finished, encode_finished(id, call.result));
    if (call.file) add(JournalRecord::finished_in_file, encode_finished_in_file(id, *call.file));
  }
  return file;
}

std::expected<DecodedJournal, std::string> decode_journal(std::string_view file) {
  RecordReader records(file);
  const auto first = records.next();
  auto header = first ? decode_header(*first) : std::nullopt;
  if (!header) return std::unexpected("not a journal of this version");
  DecodedJournal decoded;
  decoded.content.header = *std::move(header);
  while (const auto record = records.next()) apply(*record, decoded.content);
  decoded.torn_bytes = records.rest();
  return decoded;
}

std::string pack_result(const protocol::CallResult& result) {
  FieldWriter fields;
  fields.text(result.call_id).number(result.custom ? 1 : 0).number(result.is_error ? 1 : 0);
  fields.number(result.content.size());
  for (const auto& block : result.content) encode_block(fields, block);
  return fields.take();
}

std::optional<protocol::CallResult> unpack_result(std::string_view bytes) {
  FieldReader fields(bytes);
  protocol::CallResult result;
  result.call_id = fields.text();
  result.custom = fields.number() != 0;
  result.is_error = fields.number() != 0;
  const auto blocks = fields.number();
  if (fields.failed() || !is_id(result.call_id) || blocks > kMaxBlocks) return std::nullopt;
  for (std::uint64_t i = 0; i < blocks && !fields.failed(); ++i) {
    result.content.push_back(decode_block(fields));
  }
  if (!fields.complete()) return std::nullopt;
  return result;
}

std::string pack_result_file(std::string_view result) {
  std::string file;
  append_record(file, 0, number_of(JournalRecord::finished), result);
  return file;
}

std::optional<protocol::CallResult> unpack_result_file(std::string_view file) {
  const auto record = RecordReader(file).next();
  if (!record || record->type != number_of(JournalRecord::finished)) return std::nullopt;
  return unpack_result(record->payload);
}

}  // namespace sandbox_worker::worker
