#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/session_server/wire.hpp"

namespace session_server {

/// Reads the fields of one object of a script and finds those that nobody asked for: a misspelt expectation
/// would otherwise pass for ever.
class Fields {
 public:
  /// Throws ScriptError, as all members do, with `where` in its message.
  Fields(const Json& object, std::string where);

  bool has(const std::string& key) const { return object_.contains(key); }
  const Json* find(const std::string& key);
  const Json& need(const std::string& key);
  [[noreturn]] void fail(const std::string& why) const;
  void done() const;
  const std::string& where() const { return where_; }

  template <class T>
  T need_as(const std::string& key) {
    return convert<T>(key, need(key));
  }
  template <class T>
  void read(const std::string& key, T& value) {
    if (const Json* found = find(key)) value = convert<T>(key, *found);
  }
  template <class T>
  void read(const std::string& key, std::optional<T>& value) {
    if (const Json* found = find(key); found && !found->is_null()) value = convert<T>(key, *found);
  }
  /// One string, or several.
  void read_strings(const std::string& key, std::vector<std::string>& values);
  void read_ms(const std::string& key, std::chrono::milliseconds& value);
  void read_ms(const std::string& key, std::optional<std::chrono::milliseconds>& value);

 private:
  template <class T>
  T convert(const std::string& key, const Json& value) const {
    try {
      return value.get<T>();
    } catch (const Json::exception& error) {
      fail(key + ": " + error.what());
    }
  }

  const Json& object_;
  std::string where_;
  std::set<std::string> used_;
};

}  // namespace session_server
