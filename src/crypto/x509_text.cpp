#include "crypto/x509_text.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/x509.h>

#include <chrono>

#include "crypto/owned.hpp"

namespace espalier::crypto {

std::string utc_text(std::int64_t seconds) {
  constexpr std::int64_t kDay = 86400;
  // Certificates' dates lie in the years 1950 to 9999; the caller's own time is clamped to them.
  constexpr std::int64_t kFirst = -631152000;
  constexpr std::int64_t kLast = 253402300799;
  seconds = seconds < kFirst ? kFirst : seconds > kLast ? kLast : seconds;
  const std::int64_t day = seconds / kDay - (seconds % kDay < 0 ? 1 : 0);
  const std::int64_t rest = seconds - day * kDay;
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}}};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     rest / 3600, rest / 60 % 60, rest % 60);
}

std::optional<std::string> name_text(ByteView name_der) {
  const ErrorQueueGuard guard;
  const unsigned char* at = name_der.data();
  const Owned<X509_NAME, X509_NAME_free> parsed(
      d2i_X509_NAME(nullptr, &at, static_cast<long>(name_der.size())));
  const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  if (!parsed || at != name_der.data() + name_der.size() || !out) return std::nullopt;
  if (X509_NAME_print_ex(out.get(), parsed.get(), 0, XN_FLAG_RFC2253) < 0) return std::nullopt;
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  if (size <= 0) return std::string();  // an empty Name
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace espalier::crypto
