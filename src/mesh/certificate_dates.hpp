// What of our certificates, the CAs, the revocation lists and the peers' certificates is out of its
// dates, or soon will be. Pure: the time is an argument.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "crypto/revocation.hpp"
#include "mesh/plan.hpp"

namespace espalier::mesh {

enum class DateKind : std::uint8_t { kOwn, kAnchor, kList, kPeer };
std::string_view name(DateKind kind);  // "own", "ca", "list", "peer"

enum class DateState : std::uint8_t {
  kSoon,    // 30 days are left, or a third of its life if that is less (of a list: a tenth)
  kUrgent,  // 7 days, or a tenth (of a list: a twentieth)
  kOver,
  kFuture,  // not valid yet
  kRevoked,
};
std::string_view name(DateState state);  // "soon", "urgent", "expired", "not yet valid", "revoked"

// What has dates.
struct Dated {
  DateKind kind = DateKind::kOwn;
  std::string where;                 // the file, or the pair of a peer
  std::string subject;               // of the certificate; of a list its CA
  std::int64_t from = 0, until = 0;  // seconds since 1970
  friend auto operator<=>(const Dated&, const Dated&) = default;
};

// Own certificates with the CAs of their files, and x509ca.
std::vector<Dated> dated(const std::vector<OwnFile>& own, const std::vector<Bytes>& anchors);
std::vector<Dated> dated(const crypto::RevocationLists& lists);

struct DateNotice {
  Dated what;
  DateState state = DateState::kSoon;
  std::string text;  // a whole sentence with what to do next
  LogLevel level() const;
};
// Nothing when the dates are good and far enough away.
std::optional<DateNotice> judge(const Dated& what, std::int64_t now_utc);
// One of our own that is known to be revoked; `why`: RevocationLists::revoked().
DateNotice revoked_notice(const Dated& what, const std::string& why);
std::vector<DateNotice> judge(const std::vector<Dated>& all, std::int64_t now_utc);

}  // namespace espalier::mesh
