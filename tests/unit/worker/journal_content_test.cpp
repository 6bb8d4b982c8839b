#include "worker/journal_content.hpp"

#include <doctest/doctest.h>

#include "tests/support/call_result.hpp"
#include "worker/record_format.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::protocol::CallResult;
using sandbox_worker::protocol::DataBlock;
using sandbox_worker::protocol::TextBlock;
using sandbox_worker::testing::result_of;

namespace {

JournalContent example() {
  JournalContent content;
  content.header = {"sesn_1", "work_1", "boot"};
  content.processes.tag_families = {1ULL << 62U};
  content.processes.shells = {{1234, 5678}};
  content.calls["begun"];
  content.calls["done"].result = pack_result(result_of("done", "hello"));
  content.calls["large"].file = 7;
  return content;
}

void add(std::string& file, JournalRecord type, std::string_view payload) {
  append_record(file, 0, static_cast<std::uint8_t>(type), payload);
}

}  // namespace

TEST_CASE("journal content: what is written is read back") {
  const auto decoded = decode_journal(example().encode());
  REQUIRE(decoded);
  const auto& content = decoded->content;
  CHECK(decoded->torn_bytes == 0);
  CHECK(content.header.session == "sesn_1");
  CHECK(content.header.work == "work_1");
  CHECK(content.header.boot_id == "boot");
  CHECK(content.processes.tag_families == std::vector<std::uint64_t>{1ULL << 62U});
  REQUIRE(content.processes.shells.size() == 1);
  CHECK(content.processes.shells[0].pid == 1234);
  CHECK(content.processes.shells[0].start_time == 5678);
  REQUIRE(content.calls.size() == 3);
  CHECK(content.calls.at("begun").result.empty());
  CHECK(unpack_result(content.calls.at("done").result)->call_id == "done");
  CHECK(content.calls.at("large").file == 7);
}

TEST_CASE("journal content: cut at any byte, all whole records before count and nothing else does") {
  const auto file = example().encode();
  std::string header;
  add(header, JournalRecord::header, encode_header(example().header));
  for (std::size_t length = 0; length <= file.size(); ++length) {
    CAPTURE(length);
    const auto decoded = decode_journal(std::string_view(file).substr(0, length));
    if (length < header.size()) {
      CHECK_FALSE(decoded);
      continue;
    }
    REQUIRE(decoded);
    CHECK(decoded->torn_bytes < file.size());
    for (const auto& [id, call] : decoded->content.calls) {
      if (!call.result.empty()) CHECK(unpack_result(call.result));
    }
    // A call is known from the moment when its first record is whole.
    const bool began = length >= file.find("begun") + 5;
    CHECK(decoded->content.calls.contains("begun") == began);
  }
}

TEST_CASE("journal content: a changed byte ends what is believed") {
  const auto file = example().encode();
  for (std::size_t at = 0; at < file.size(); ++at) {
    CAPTURE(at);
    auto changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    if (const auto decoded = decode_journal(changed)) CHECK(decoded->torn_bytes > 0);
  }
}

TEST_CASE("journal content: a record counts only where it was written") {
  std::string file;
  add(file, JournalRecord::header, encode_header({"s", "w", "b"}));
  std::string elsewhere;  // as bytes that an earlier, longer file left behind
  append_record(elsewhere, file.size() + 1, static_cast<std::uint8_t>(JournalRecord::began), "call");
  const auto decoded = decode_journal(file + elsewhere);
  REQUIRE(decoded);
  CHECK(decoded->content.calls.empty());
  CHECK(decoded->torn_bytes == elsewhere.size());
}

TEST_CASE("journal content: an answered call is forgotten, with a result that comes late") {
  std::string file;
  add(file, JournalRecord::header, encode_header({"s", "w", "b"}));
  add(file, JournalRecord::began, "call");
  add(file, JournalRecord::answered, "call");
  add(file, JournalRecord::finished, encode_finished("call", pack_result(result_of("call", "late"))));
  const auto decoded = decode_journal(file);
  REQUIRE(decoded);
  CHECK(decoded->content.calls.empty());
}

TEST_CASE("journal content: records that make no sense are passed over") {
  std::string file;
  add(file, JournalRecord::header, encode_header({"s", "w", "b"}));
  add(file, JournalRecord::began, "");
  add(file, JournalRecord::began, std::string(10'000, 'x'));
  add(file, JournalRecord::shell, encode_shell({1, 5}));  // a kill of 1 would be one of init
  add(file, JournalRecord::shell, encode_shell({-7, 5}));
  add(file, JournalRecord::shell, "short");
  add(file, JournalRecord::processes, "short");
  add(file, JournalRecord::finished, "short");
  add(file, static_cast<JournalRecord>(200), "unknown");
  add(file, JournalRecord::began, "good");
  const auto decoded = decode_journal(file);
  REQUIRE(decoded);
  CHECK(decoded->torn_bytes == 0);
  CHECK(decoded->content.processes.shells.empty());
  CHECK(decoded->content.processes.tag_families.empty());
  REQUIRE(decoded->content.calls.size() == 1);
  CHECK(decoded->content.calls.contains("good"));
}

TEST_CASE("journal content: another version and other files are refused") {
  CHECK_FALSE(decode_journal(""));
  CHECK_FALSE(decode_journal("not a journal at all, but long enough to look at"));
  std::string file;
  add(file, JournalRecord::header, FieldWriter().text("sandbox-worker journal 2").text("s").text("w").take());
  CHECK_FALSE(decode_journal(file));
}

TEST_CASE("journal content: results of every kind come back whole") {
  CallResult result;
  result.call_id = "id";
  result.custom = true;
  result.is_error = true;
  result.content.emplace_back(TextBlock{std::string("a\0b\xff", 4)});
  result.content.emplace_back(TextBlock{});
  result.content.emplace_back(DataBlock{"image", "image/png", "QUJD"});
  const auto back = unpack_result_file(pack_result_file(pack_result(result)));
  REQUIRE(back);
  CHECK(back->call_id == "id");
  CHECK(back->custom);
  CHECK(back->is_error);
  REQUIRE(back->content.size() == 3);
  CHECK(std::get<TextBlock>(back->content[0]).text == std::string("a\0b\xff", 4));
  CHECK(std::get<TextBlock>(back->content[1]).text.empty());
  CHECK(std::get<DataBlock>(back->content[2]).type == "image");
  CHECK(std::get<DataBlock>(back->content[2]).media_type == "image/png");
  CHECK(std::get<DataBlock>(back->content[2]).base64 == "QUJD");

  const auto bytes = pack_result(result);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(unpack_result(std::string_view(bytes).substr(0, length)));
  }
}
