#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/requests.hpp"
#include "tools/leftovers.hpp"
#include "worker/record_format.hpp"

namespace sandbox_worker::worker {

// What a session's journal says, as bytes and as data. Pure: worker/journal does the reading and writing.

enum class JournalRecord : std::uint8_t {
  header = 1,
  processes,  // a worker: the family of its processes' marks
  shell,
  began,
  finished,          // with its result
  finished_in_file,  // the result lies in a file of its own
  answered,          // the session has an answer: the call can be forgotten
};

struct JournalHeader {
  std::string session;
  std::string work;     // the item of the worker that wrote it
  std::string boot_id;  // of the kernel: process ids and start times mean something during one boot only
};

/// A call that has begun, and whose answer hasn't been seen in the session: it is never to be run again.
struct JournalCall {
  std::string result;                 // encoded; empty: not finished, or in a file, or with the service
  std::optional<std::uint64_t> file;  // number of the file that has it
};

struct JournalContent {
  JournalHeader header;
  tools::WorkerTrace processes;
  std::map<std::string, JournalCall, std::less<>> calls;

  /// As a file with nothing else in it.
  std::string encode() const;
};

// Payloads of single records.
std::string encode_header(const JournalHeader& header);
std::string encode_shell(const tools::ShellTrace& shell);
std::string encode_finished(std::string_view id, std::string_view result);
std::string encode_finished_in_file(std::string_view id, std::uint64_t file);

struct DecodedJournal {
  JournalContent content;
  std::size_t torn_bytes = 0;  // behind the last whole record
};
/// Of any bytes. An error when they don't begin as a journal of this version; a record within that makes no
/// sense is passed over.
std::expected<DecodedJournal, std::string> decode_journal(std::string_view file);

std::string pack_result(const protocol::CallResult& result);
std::optional<protocol::CallResult> unpack_result(std::string_view bytes);

/// A result file is one record.
std::string pack_result_file(std::string_view result);
std::optional<protocol::CallResult> unpack_result_file(std::string_view file);

}  // namespace sandbox_worker::worker
