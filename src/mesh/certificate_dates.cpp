#include "mesh/certificate_dates.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/signature.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::mesh {
namespace {

constexpr std::int64_t kDay = 86400;  // seconds
constexpr std::int64_t kSoon = 30 * kDay;
constexpr std::int64_t kUrgent = 7 * kDay;

// "3 days", "5 hours"; never more than there is.
std::string length(std::int64_t seconds) {
  const auto words = [](std::int64_t count, const char* unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  if (seconds >= 2 * kDay) return words(seconds / kDay, "day");
  if (seconds >= 7200) return words(seconds / 3600, "hour");
  return words(seconds / 60, "minute");
}

std::string_view effect(DateKind kind) {
  switch (kind) {
    case DateKind::kOwn: return "peers refuse it";
    case DateKind::kAnchor: return "no peer's path may end in it";
    case DateKind::kList: return "it says nothing of what was revoked since";
    case DateKind::kPeer: return "its next authentication is refused";
  }
  return "";
}

std::string_view remedy(DateKind kind) {
  switch (kind) {
    case DateKind::kOwn:
      return "issue a new one, put it in that file's place with its key in private/, and run "
             "'espalier reload'";
    case DateKind::kAnchor:
      return "put the CA's new certificate into x509ca on every host, and run 'espalier reload'";
    case DateKind::kList: return "put the CA's new list into x509crl, and run 'espalier reload'";
    case DateKind::kPeer: return "have a new one issued for that host";
  }
  return "";
}

std::optional<DateState> state_of(const Dated& what, std::int64_t now_utc) {
  if (what.until < now_utc) return DateState::kOver;
  if (what.from > now_utc) return DateState::kFuture;
  // What lives for a day only is renewed within hours: a month's notice would never go away.
  const bool list = what.kind == DateKind::kList;
  const std::int64_t life = std::max<std::int64_t>(what.until - what.from, 0);
  const std::int64_t left = what.until - now_utc;
  if (left <= std::min(kUrgent, life / (list ? 20 : 10))) return DateState::kUrgent;
  if (left <= std::min(kSoon, life / (list ? 10 : 3))) return DateState::kSoon;
  return std::nullopt;
}

std::string sentence(const Dated& what, DateState state, std::int64_t now_utc) {
  const std::string thing = what.kind == DateKind::kList
                                ? fmt::format("the revocation list of '{}'", what.subject)
                                : fmt::format("{}: the certificate '{}'", what.where, what.subject);
  switch (state) {
    case DateState::kOver:
      return fmt::format("{} was valid until {}: {}; {}", thing, crypto::utc_text(what.until),
                         effect(what.kind), remedy(what.kind));
    case DateState::kFuture:
      return fmt::format(
          "{} is valid only from {}: until then {}; compare this host's clock with that of the CA",
          thing, crypto::utc_text(what.from), effect(what.kind));
    case DateState::kSoon:
    case DateState::kUrgent:
      return fmt::format("{} is valid only until {}, for {} more: {}", thing,
                         crypto::utc_text(what.until), length(what.until - now_utc),
                         remedy(what.kind));
    case DateState::kRevoked: break;  // revoked_notice()
  }
  return thing;
}

}  // namespace

std::string_view name(DateKind kind) {
  switch (kind) {
    case DateKind::kOwn: return "own";
    case DateKind::kAnchor: return "ca";
    case DateKind::kList: return "list";
    case DateKind::kPeer: return "peer";
  }
  return "";
}

std::string_view name(DateState state) {
  switch (state) {
    case DateState::kSoon: return "soon";
    case DateState::kUrgent: return "urgent";
    case DateState::kOver: return "expired";
    case DateState::kFuture: return "not yet valid";
    case DateState::kRevoked: return "revoked";
  }
  return "";
}

LogLevel DateNotice::level() const {
  const bool refused = state != DateState::kSoon && state != DateState::kUrgent;
  return refused && what.kind == DateKind::kOwn ? LogLevel::kError : LogLevel::kWarning;
}

std::vector<Dated> dated(const std::vector<OwnFile>& own, const std::vector<Bytes>& anchors) {
  std::vector<Dated> out;
  const auto add = [&](DateKind kind, const std::string& where, const Bytes& der) {
    if (const auto info = crypto::inspect_certificate(der)) {
      out.push_back({kind, where, info->subject, info->not_before, info->not_after});
    }
  };
  for (const OwnFile& file : own) {
    for (const Bytes& der : file.chain) add(DateKind::kOwn, file.path, der);
  }
  for (const Bytes& der : anchors) add(DateKind::kAnchor, "x509ca", der);
  return out;
}

std::vector<Dated> dated(const crypto::RevocationLists& lists) {
  std::vector<Dated> out;
  for (const crypto::ListDates& list : lists.dates()) {
    if (!list.next_update) continue;  // RFC 5280 section 5.1.2.5 wants one; without it nothing ends
    out.push_back({DateKind::kList, "x509crl", list.issuer, list.this_update, *list.next_update});
  }
  return out;
}

std::optional<DateNotice> judge(const Dated& what, std::int64_t now_utc) {
  const auto state = state_of(what, now_utc);
  if (!state) return std::nullopt;
  return DateNotice{what, *state, sentence(what, *state, now_utc)};
}

DateNotice revoked_notice(const Dated& what, const std::string& why) {
  return {what, DateState::kRevoked,
          fmt::format("{}: the certificate '{}' {}: {}; {}", what.where, what.subject, why,
                      effect(what.kind), remedy(what.kind))};
}

std::vector<DateNotice> judge(const std::vector<Dated>& all, std::int64_t now_utc) {
  std::vector<DateNotice> out;
  for (const Dated& one : all) {
    if (auto notice = judge(one, now_utc)) out.push_back(std::move(*notice));
  }
  return out;
}

}  // namespace espalier::mesh
