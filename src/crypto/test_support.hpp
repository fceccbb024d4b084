// For this room's tests only: outside vectors from tests/data, and Rngs that give chosen octets.
#pragma once

#include <gtest/gtest.h>

#include <concepts>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/bytes.hpp"
#include "crypto/rng.hpp"

namespace espalier::crypto::test {

inline std::string read_text(const std::string& path) {
  std::ifstream file(std::string(ESPALIER_TEST_DATA) + "/" + path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(read_text(path));
}

inline Bytes unhex(std::string_view text) {
  auto bytes = from_hex(text);
  EXPECT_TRUE(bytes.ok()) << text;
  return bytes ? *bytes : Bytes();
}

template <std::same_as<nlohmann::json> Json>  // a template, so that text is not turned into JSON
Bytes unhex(const Json& value) {
  return unhex(std::string_view(value.template get_ref<const std::string&>()));
}

// Gives the chosen octets once, then zeros.
class FixedRng final : public Rng {
 public:
  explicit FixedRng(Bytes octets) : octets_(std::move(octets)) {}
  void fill(MutableByteView out) override {
    for (std::uint8_t& octet : out) octet = next_ < octets_.size() ? octets_[next_++] : 0;
  }

 private:
  Bytes octets_;
  std::size_t next_ = 0;
};

}  // namespace espalier::crypto::test
