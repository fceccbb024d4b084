// Addresses and responses from anybody: nothing crashes, nothing grows past its limit.
#include "base/assert.hpp"
#include "wire/http/limits.hpp"
#include "wire/http/response.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espalier;
  using namespace espalier::wire::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The way back may add a slash.
  if (const auto url = parse_url(text); url && to_string(*url).size() <= kMaxUrlOctets) {
    const auto again = parse_url(to_string(*url));
    ASSERT(again && *again == *url);
    ASSERT(url->target.find_first_of(" \r\n") == std::string::npos);
  }
  constexpr std::size_t kMax = 4096;
  ResponseReader whole(kMax);
  const bool good = whole.take({data, size}).ok();
  ResponseReader bytewise(kMax);
  bool also_good = true;
  for (std::size_t i = 0; i < size && also_good; ++i) {
    also_good = bytewise.take({data + i, 1}).ok();
  }
  ASSERT(good == also_good);
  if (good) ASSERT(whole.body() == bytewise.body() && whole.is_done() == bytewise.is_done());
  ASSERT(whole.body().size() <= kMax);
  return 0;
}
