#include "worker/record_format.hpp"

#include <boost/crc.hpp>

namespace sandbox_worker::worker {
namespace {

// Length of the payload and checksum, 4 bytes each, then one of the type.
constexpr std::size_t kFrameBytes = 9;

template <class T>
void put(std::string& bytes, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

template <class T>
T get(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i));
  }
  return value;
}

std::uint32_t checksum(std::uint64_t offset, std::uint8_t type, std::string_view payload) {
  std::string place;
  put(place, offset);
  put(place, static_cast<std::uint64_t>(payload.size()));
  put(place, type);
  boost::crc_32_type sum;
  sum.process_bytes(place.data(), place.size());
  sum.process_bytes(payload.data(), payload.size());
  return sum.checksum();
}

}  // namespace

void append_record(std::string& bytes, std::uint64_t offset, std::uint8_t type, std::string_view payload) {
  const std::uint32_t sum = checksum(offset + bytes.size(), type, payload);
  put(bytes, static_cast<std::uint32_t>(payload.size()));
  put(bytes, sum);
  put(bytes, type);
  bytes += payload;
}

std::optional<Record> RecordReader::next() {
  const auto rest = file_.substr(offset_);
  if (rest.size() < kFrameBytes) return std::nullopt;
  const auto size = get<std::uint32_t>(rest);
  if (size > rest.size() - kFrameBytes) return std::nullopt;
  Record record;
  record.type = get<std::uint8_t>(rest.substr(8));
  record.payload = rest.substr(kFrameBytes, size);
  if (get<std::uint32_t>(rest.substr(4)) != checksum(offset_, record.type, record.payload))
    return std::nullopt;
  offset_ += kFrameBytes + size;
  return record;
}

FieldWriter& FieldWriter::number(std::uint64_t value) {
  put(bytes_, value);
  return *this;
}

FieldWriter& FieldWriter::text(std::string_view value) {
  put(bytes_, static_cast<std::uint64_t>(value.size()));
  bytes_ += value;
  return *this;
}

std::uint64_t FieldReader::number() {
  constexpr std::size_t kSize = sizeof(std::uint64_t);
  if (failed_ || rest_.size() < kSize) {
    failed_ = true;
    return 0;
  }
  const auto value = get<std::uint64_t>(rest_);
  rest_.remove_prefix(kSize);
  return value;
}

std::string_view FieldReader::text() {
  const auto size = number();
  if (failed_ || size > rest_.size()) {
    failed_ = true;
    return {};
  }
  const auto value = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return value;
}

}  // namespace sandbox_worker::worker
