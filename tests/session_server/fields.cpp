#include "tests/session_server/fields.hpp"

#include "tests/session_server/script.hpp"

namespace session_server {

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) fail("must be an object");
}

const Json* Fields::find(const std::string& key) {
  used_.insert(key);
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const Json& Fields::need(const std::string& key) {
  const Json* found = find(key);
  if (found == nullptr) fail(key + " is missing");
  return *found;
}

void Fields::fail(const std::string& why) const {
  throw ScriptError(where_ + ": " + why);
}

void Fields::done() const {
  for (auto& [key, value] : object_.items()) {
    if (!used_.contains(key)) fail("unknown field " + key);
  }
}

void Fields::read_strings(const std::string& key, std::vector<std::string>& values) {
  const Json* found = find(key);
  if (found == nullptr) return;
  if (found->is_string()) {
    values = {found->get<std::string>()};
  } else {
    values = convert<std::vector<std::string>>(key, *found);
  }
}

void Fields::read_ms(const std::string& key, std::chrono::milliseconds& value) {
  if (const Json* found = find(key)) value = std::chrono::milliseconds(convert<std::int64_t>(key, *found));
}

void Fields::read_ms(const std::string& key, std::optional<std::chrono::milliseconds>& value) {
  if (const Json* found = find(key)) value = std::chrono::milliseconds(convert<std::int64_t>(key, *found));
}

}  // namespace session_server
