// A journal, a lease record and a result file of any bytes are read or refused, without a crash; what was
// read is written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "worker/journal_content.hpp"
#include "worker/lease_record.hpp"
#include "worker/record_format.hpp"

namespace {

using namespace sandbox_worker::worker;

/// The checksums would keep nearly all inputs away from the records: here every input is records of one type
/// byte, one of length and so many of payload.
std::string records_of(std::string_view bytes) {
  std::string file;
  append_record(file, 0, static_cast<std::uint8_t>(JournalRecord::header), encode_header({"s", "w", "b"}));
  while (bytes.size() >= 2) {
    const auto type = static_cast<std::uint8_t>(bytes[0]);
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[1]));
    bytes.remove_prefix(2);
    const auto payload = bytes.substr(0, length);
    append_record(file, 0, static_cast<std::uint8_t>(type % 10), payload);
    bytes.remove_prefix(payload.size());
  }
  return file;
}

void check(std::string_view file) {
  const auto decoded = decode_journal(file);
  if (!decoded) return;
  for (const auto& [id, call] : decoded->content.calls) (void)unpack_result(call.result);
  const auto again = decode_journal(decoded->content.encode());
  if (!again || again->torn_bytes != 0 || again->content.encode() != decoded->content.encode()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  check(records_of(bytes));
  if (const auto result = unpack_result(bytes); result && pack_result(*result).empty()) std::abort();
  (void)unpack_result_file(bytes);
  if (const auto trace = decode_lease(bytes)) {
    (void)lease_after(*trace, trace->work, trace->boot_id, trace->claimed, trace->good_since, {});
  }
  return 0;
}
