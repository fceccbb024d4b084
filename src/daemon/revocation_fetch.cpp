#include "daemon/revocation_fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "crypto/limits.hpp"
#include "crypto/x509_text.hpp"
#include "daemon/revocation_cache.hpp"

namespace espalier::daemon {
namespace {

using crypto::CertificateId;
using crypto::PathCertificate;

constexpr std::size_t kNonceOctets = 32;  // RFC 9654 section 2.1

// When to fetch again what is in force until then.
Duration refresh_in(std::int64_t until, std::int64_t now_utc) {
  const std::int64_t left = std::clamp<std::int64_t>(until - now_utc, 0, 365 * 86400);
  return std::clamp<Duration>(std::chrono::seconds(left / 4), kRefreshLeast, kRefreshMost);
}

Duration retry_in(unsigned failures) {
  const unsigned doublings = std::min(failures - 1, 12u);
  return std::min<Duration>(kFetchRetryFirst * (1 << doublings), kFetchRetryMost);
}

}  // namespace

RevocationFetcher::Key RevocationFetcher::key_of(Kind kind, const std::string& url,
                                                 const PathCertificate& certificate) {
  Key key{kind, url, certificate.id};
  if (kind == Kind::kList) key.id.serial.clear();  // one list for all certificates of the CA
  return key;
}

RevocationFetcher::Key RevocationFetcher::first_of(const PathCertificate& certificate) {
  return certificate.ocsp_urls.empty()
             ? key_of(Kind::kList, certificate.crl_urls.front(), certificate)
             : key_of(Kind::kOcsp, certificate.ocsp_urls.front(), certificate);
}

// Of a certificate whose status is asked for; null: there are too many.
RevocationFetcher::Source* RevocationFetcher::source(const Key& key,
                                                     const PathCertificate& certificate,
                                                     Instant now) {
  const auto found = sources_.find(key);
  if (found != sources_.end()) {
    found->second.used = now;
    return &found->second;
  }
  if (sources_.size() >= kSourcesMax) return nullptr;
  Source made;
  made.certificate = certificate;
  made.used = now;
  Source& kept = sources_.emplace(key, std::move(made)).first->second;
  arm(key, kept, now);
  return &kept;
}

void RevocationFetcher::disarm(const Key& key, Source& source) {
  if (source.armed) due_.erase({source.again, key});
  source.armed = false;
}

void RevocationFetcher::arm(const Key& key, Source& source, Instant at) {
  disarm(key, source);
  source.again = at;
  if (source.request != 0) return;
  due_.insert({at, key});
  source.armed = true;
}

void RevocationFetcher::start(const Key& key, Source& source, Instant now) {
  HttpRequest request;
  request.url = key.url;
  request.max_octets = key.kind == Kind::kList ? crypto::kMaxCrlOctets : crypto::kMaxOcspOctets;
  if (key.kind == Kind::kOcsp) {
    // What we send on to peers is no answer to them: it needs no nonce, and caches may have it.
    source.nonce = source.own.empty() ? parts_.rng.bytes(kNonceOctets) : Bytes();
    auto body = crypto::ocsp_request(source.certificate, source.nonce);
    if (!body) return failed(key, source, body.error().message, now);
    request.body = std::move(*body);
    request.content_type = "application/ocsp-request";
  }
  request.id = ++last_request_;
  const std::uint64_t id = request.id;
  if (const Status sent = parts_.http.submit(std::move(request)); !sent) {
    return failed(key, source, sent.error().message, now);
  }
  disarm(key, source);
  source.request = id;
  requests_.emplace(id, key);
}

void RevocationFetcher::failed(const Key& key, Source& source, const std::string& why,
                               Instant now) {
  ++source.failures;
  const Duration retry = retry_in(source.failures);
  arm(key, source, now + retry);
  // Once a fault is known, its repetitions are no news.
  const LogLevel level = source.failures == 1 ? LogLevel::kWarning : LogLevel::kDebug;
  parts_.log.log(
      {level, "certificates", "",
       fmt::format("{} could not be had from {}: {}; tried again in {} s",
                   key.kind == Kind::kList
                       ? fmt::format("the revocation list of '{}'", source.certificate.issuer)
                       : fmt::format("the status of '{}'", source.certificate.subject),
                   key.url, why, whole_seconds(retry))});
}

Result<std::int64_t> RevocationFetcher::take_list(const Key& key, const Source& source,
                                                  const Bytes& body, std::int64_t now_utc) {
  const std::vector<Bytes> issuers{source.certificate.issuer_der};
  crypto::RevocationLists one;
  TRY(one.add(body, issuers));
  const auto until = one.known_until(source.certificate.id, now_utc);
  // An old one may be all that there is; what it revoked stays revoked.
  fetched_.merge(one);
  changed_ = true;
  if (!until) {
    return make_error(ErrorCode::kAuthentication, "it is not in force now, its dates say");
  }
  const CachedList cached{key.url, source.certificate.issuer_der, body};
  if (const Status kept = write_cached_list(parts_.folder, cached); !kept) {
    parts_.log.log({LogLevel::kWarning, "certificates", "",
                    "a revocation list is not kept: " + kept.error().message});
  }
  parts_.log.log({LogLevel::kInfo, "certificates", "",
                  fmt::format("the revocation list of '{}' from {} is in force until {}",
                              source.certificate.issuer, key.url, crypto::utc_text(*until))});
  return *until;
}

Result<std::int64_t> RevocationFetcher::take_response(const Source& source, const Bytes& body,
                                                      std::int64_t now_utc) {
  TRY_ASSIGN(const crypto::OcspStatus status,
             crypto::read_ocsp(body, source.certificate, source.nonce, now_utc));
  using Verdict = crypto::OcspStatus::Verdict;
  const bool revoked = status.verdict == Verdict::kRevoked;
  fetched_.add(source.certificate.id, status);
  changed_ = true;
  if (!source.own.empty() && revoked) own_.erase(source.own);
  if (!source.own.empty() && status.verdict == Verdict::kGood) {
    own_[source.own] = {body, status.usable_until};
  }
  parts_.log.log({LogLevel::kDebug, "certificates", "",
                  fmt::format("the OCSP responder '{}' says that '{}' is {}", status.responder,
                              source.certificate.subject,
                              revoked                               ? "revoked"
                              : status.verdict == Verdict::kUnknown ? "unknown"
                                                                    : "good")});
  if (status.verdict == Verdict::kUnknown) {
    return make_error(ErrorCode::kNotFound, "the responder does not know it");
  }
  return status.usable_until;
}

void RevocationFetcher::answered(const Key& key, Source& source, const HttpAnswer& answer,
                                 Instant now, std::int64_t now_utc) {
  source.request = 0;
  if (answer.error) return failed(key, source, answer.error->message, now);
  const auto until = key.kind == Kind::kList ? take_list(key, source, answer.body, now_utc)
                                             : take_response(source, answer.body, now_utc);
  if (!until) {
    const std::string what = key.kind == Kind::kList ? "what it sent " : "its response ";
    return failed(key, source, what + until.error().message, now);
  }
  source.failures = 0;
  arm(key, source, now + refresh_in(*until, now_utc));
}

void RevocationFetcher::load(Instant now, std::int64_t now_utc) {
  for (CachedList& cached : read_cached_lists(parts_.folder)) {
    auto issuer = crypto::inspect_certificate(cached.issuer);
    crypto::RevocationLists one;
    if (!issuer || !one.add(cached.list, {cached.issuer})) continue;
    PathCertificate certificate;
    certificate.id = {crypto::issuer_key_of(issuer->public_der), {}};
    certificate.issuer = issuer->subject;
    certificate.issuer_der = std::move(cached.issuer);
    const auto until = one.known_until(certificate.id, now_utc);
    fetched_.merge(one);
    const Key key = key_of(Kind::kList, cached.url, certificate);
    Source* kept = source(key, certificate, now);
    if (kept != nullptr && until) arm(key, *kept, now + refresh_in(*until, now_utc));
  }
  for (const CachedPeer& peer : read_cached_peers(parts_.folder)) {
    const Key key = key_of(Kind::kOcsp, peer.url, peer.certificate);
    if (Source* known = source(key, peer.certificate, now)) known->saved = true;
  }
  merge();
}

void RevocationFetcher::use(std::shared_ptr<const crypto::RevocationLists> files,
                            const std::map<std::string, std::vector<PathCertificate>>& own,
                            Instant now) {
  files_ = std::move(files);
  own_.clear();
  for (auto at = sources_.begin(); at != sources_.end();) {
    if (at->second.own.empty() || at->second.request != 0) {
      ++at;
      continue;
    }
    disarm(at->first, at->second);
    at = sources_.erase(at);
  }
  for (const auto& [key, path] : own) {
    if (path.empty()) continue;
    // The other addresses are for when this one fails, and peers can ask them themselves.
    const PathCertificate& mine = path.front();
    if (mine.ocsp_urls.empty() && mine.crl_urls.empty()) continue;
    if (Source* asked = source(first_of(mine), mine, now)) asked->own = key;
  }
  // Who reloads wants to see what the CA says now.
  for (auto& [key, each] : sources_) {
    arm(key, each, now);
    each.failures = 0;
  }
  merge();
}

void RevocationFetcher::merge() {
  auto all = std::make_shared<crypto::RevocationLists>();
  if (files_) *all = *files_;
  all->merge(fetched_);
  merged_ = std::move(all);
  changed_ = false;
}

void RevocationFetcher::want(ike::JobId job, const std::vector<PathCertificate>& certificates,
                             Instant now, std::int64_t now_utc) {
  Want want{job, {}};
  // Beyond the limit it is as if nobody had answered.
  if (wants_.size() < kWantsMax) {
    for (const PathCertificate& certificate : certificates) {
      Item item{certificate, {}, 0, false};
      for (const std::string& url : certificate.ocsp_urls) {
        item.order.push_back(key_of(Kind::kOcsp, url, certificate));
      }
      for (const std::string& url : certificate.crl_urls) {
        item.order.push_back(key_of(Kind::kList, url, certificate));
      }
      if (!go_on(item, now, now_utc)) want.items.push_back(std::move(item));
    }
  }
  // One that found everything known already is answered at once.
  ready_ = ready_ || want.items.empty();
  wants_.push_back(std::move(want));
}

void RevocationFetcher::watch(const std::vector<ike::Watched>& certificates, Instant now,
                              std::int64_t now_utc) {
  for (const ike::Watched& each : certificates) {
    const Key key = first_of(each.certificate);
    const bool known_source = sources_.contains(key);
    Source* asked = source(key, each.certificate, now);
    // What the peer sent of itself, or a file has, holds for a while.
    if (asked == nullptr) continue;
    if (!known_source) arm(key, *asked, now + refresh_in(each.known_until, now_utc));
    if (key.kind != Kind::kOcsp || std::exchange(asked->saved, true)) continue;
    const Status saved = write_cached_peer(parts_.folder, {key.url, each.certificate});
    if (!saved) {
      parts_.log.log({LogLevel::kWarning, "certificates", "",
                      "where a peer's status is asked is not kept: " + saved.error().message});
    }
  }
}

bool RevocationFetcher::go_on(Item& item, Instant now, std::int64_t now_utc) {
  for (; item.at < item.order.size(); ++item.at, item.started = false) {
    if (merged_ && merged_->known_until(item.certificate.id, now_utc)) return true;
    const Key& key = item.order[item.at];
    Source* asked = source(key, item.certificate, now);
    if (asked == nullptr) continue;
    if (asked->request != 0) {
      item.started = true;
      return false;
    }
    // Asked already for this one, or in vain a moment ago.
    if (item.started || (asked->failures > 0 && now < asked->again)) continue;
    start(key, *asked, now);
    item.started = true;
    if (asked->request != 0) return false;
  }
  return true;
}

void RevocationFetcher::keep(const std::set<CertificateId>& used, Instant now) {
  std::set<Bytes> issuers;
  for (const CertificateId& id : used) issuers.insert(id.issuer_key);
  for (auto& [key, each] : sources_) {
    const bool needed =
        key.kind == Kind::kOcsp ? used.contains(key.id) : issuers.contains(key.id.issuer_key);
    if (needed || !each.own.empty()) each.used = now;
  }
}

void RevocationFetcher::refresh(Instant now) {
  std::vector<Key> gone;
  while (!due_.empty() && due_.begin()->first <= now) {
    const Key key = due_.begin()->second;
    Source& each = sources_.at(key);
    if (now - each.used > kFetchForget) {
      disarm(key, each);
      gone.push_back(key);
    } else {
      start(key, each, now);  // under way, or due again later
    }
  }
  if (gone.empty()) return;
  for (const Key& key : gone) {
    sources_.erase(key);
    if (key.kind == Kind::kOcsp) remove_cached_peer(parts_.folder, key.url, key.id);
  }
  std::set<CertificateId> left;
  for (const auto& [key, each] : sources_) left.insert(key.id);
  fetched_.forget_ocsp([&](const CertificateId& id) { return left.contains(id); });
  changed_ = true;
}

RevocationFetcher::Outcome RevocationFetcher::handle(Instant now, std::int64_t now_utc) {
  for (const HttpAnswer& answer : parts_.http.take()) {
    const auto request = requests_.find(answer.id);
    if (request == requests_.end()) continue;
    const Key key = request->second;
    requests_.erase(request);
    if (const auto asked = sources_.find(key); asked != sources_.end()) {
      answered(key, asked->second, answer, now, now_utc);
    }
  }
  refresh(now);
  Outcome out;
  ready_ = false;
  out.changed = changed_;
  if (changed_) merge();
  std::erase_if(wants_, [&](Want& want) {
    std::erase_if(want.items, [&](Item& item) { return go_on(item, now, now_utc); });
    if (want.items.empty()) out.done.push_back(want.job);
    return want.items.empty();
  });
  return out;
}

std::optional<Instant> RevocationFetcher::next() const {
  if (ready_) return Instant{};
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

Bytes RevocationFetcher::own_status(const std::string& key, std::int64_t now_utc) const {
  const auto found = own_.find(key);
  if (found == own_.end() || found->second.until < now_utc) return {};
  return found->second.response;
}

}  // namespace espalier::daemon
