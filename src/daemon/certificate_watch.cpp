#include "daemon/certificate_watch.hpp"

namespace espalier::daemon {
namespace {

constexpr Duration kLookEvery = 60s;
constexpr std::int64_t kTellAgain = 24 * 3600;  // seconds

}  // namespace

void CertificateWatch::use(const Configuration& configuration, const Paths& own) {
  own_ids_.clear();
  for (const auto& [key, path] : own) {
    const std::size_t slash = key.find('/');
    const std::string file = "x509" + (slash == std::string::npos ? "/" + key : key.substr(slash));
    for (const crypto::PathCertificate& one : path) {
      own_ids_.push_back(
          {one.id, {mesh::DateKind::kOwn, file, one.subject, one.not_before, one.not_after}});
    }
  }
  own_ = mesh::dated(configuration.certificates, configuration.anchors);
  lists_ = configuration.keys.shared_revocations();
  told_.clear();  // who reloads wants to read whether it helped
  next_ = Instant{};
}

std::vector<mesh::DateNotice> CertificateWatch::notices(const ike::Endpoint& engine,
                                                        std::int64_t now_utc) const {
  std::vector<mesh::DateNotice> out = mesh::judge(own_, now_utc);
  const auto add = [&](const mesh::Dated& what) {
    if (auto notice = mesh::judge(what, now_utc)) out.push_back(std::move(*notice));
  };
  if (lists_) {
    for (const auto& [id, what] : own_ids_) {
      if (const auto why = lists_->revoked(id)) out.push_back(mesh::revoked_notice(what, *why));
    }
    for (const mesh::Dated& list : mesh::dated(*lists_)) add(list);
  }
  std::set<mesh::Dated> peers;  // a pair may have two IKE SAs for a moment
  for (const auto& [spi, sa] : engine.core().sas) {
    if (!sa.is_up() || !sa.peer_certificates) continue;
    const crypto::PathValidity& validity = sa.peer_certificates->validity;
    if (validity.subject.empty()) continue;
    peers.insert(
        {mesh::DateKind::kPeer, sa.pair(), validity.subject, validity.from, validity.until});
  }
  for (const mesh::Dated& peer : peers) add(peer);
  return out;
}

void CertificateWatch::look(Instant now, std::int64_t now_utc, const ike::Endpoint& engine,
                            Logger& log) {
  next_ = now + kLookEvery;
  const bool again = now_utc - told_at_ >= kTellAgain || now_utc < told_at_;
  if (again) told_at_ = now_utc;
  std::map<mesh::Dated, mesh::DateState> told;
  for (const mesh::DateNotice& notice : notices(engine, now_utc)) {
    const auto before = told_.find(notice.what);
    told[notice.what] = notice.state;
    if (!again && before != told_.end() && before->second == notice.state) continue;
    const bool peer = notice.what.kind == mesh::DateKind::kPeer;
    log.log({notice.level(), "certificates", peer ? notice.what.where : "", notice.text});
  }
  told_ = std::move(told);
}

}  // namespace espalier::daemon
