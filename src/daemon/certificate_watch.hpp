// Watches the dates of our certificates, the CAs, the lists and the peers' certificates: what is
// near or past one is logged when it becomes so and once a day, and is in status always.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/log.hpp"
#include "base/time.hpp"
#include "daemon/configuration.hpp"
#include "ike/core/endpoint.hpp"
#include "mesh/certificate_dates.hpp"

namespace espalier::daemon {

class CertificateWatch {
 public:
  using Paths = std::map<std::string, std::vector<crypto::PathCertificate>>;
  // A configuration that was just loaded; of our own certificates the paths, by the private key.
  void use(const Configuration& configuration, const Paths& own = {});
  // What is known of revocation now, fetched lists included.
  void use(std::shared_ptr<const crypto::RevocationLists> lists) {
    lists_ = std::move(lists);
    next_ = Instant{};
  }
  // Logs what is new, and all of it once a day.
  void look(Instant now, std::int64_t now_utc, const ike::Endpoint& engine, Logger& log);
  // When look() is due.
  Instant next() const { return next_; }

  std::vector<mesh::DateNotice> notices(const ike::Endpoint& engine, std::int64_t now_utc) const;

 private:
  std::vector<mesh::Dated> own_;
  std::vector<std::pair<crypto::CertificateId, mesh::Dated>> own_ids_;
  std::shared_ptr<const crypto::RevocationLists> lists_;
  std::map<mesh::Dated, mesh::DateState> told_;
  std::int64_t told_at_ = 0;
  Instant next_{};
};

}  // namespace espalier::daemon
