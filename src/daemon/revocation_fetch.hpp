// Revocation lists and OCSP responses over HTTP: what the engine waits for, what is kept fresh, and
// what is tried again when. Time and the network are arguments.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "crypto/ocsp.hpp"
#include "crypto/rng.hpp"
#include "daemon/http_client.hpp"
#include "ike/core/jobs.hpp"
#include "policy/nouns.hpp"

namespace espalier::daemon {

// A list or response is fetched anew after a quarter of the time that it has left, within these; an
// operator who revokes wants to see it before nextUpdate.
inline constexpr Duration kRefreshLeast = 10s;
inline constexpr Duration kRefreshMost = 1h;
// After a failure, doubling. Meanwhile nobody waits for that address.
inline constexpr Duration kFetchRetryFirst = 10s;
inline constexpr Duration kFetchRetryMost = 1h;
// What no peer needed for so long is not kept fresh any more.
inline constexpr Duration kFetchForget = 24h;
inline constexpr std::size_t kSourcesMax = 4096;
inline constexpr std::size_t kWantsMax = 2048;  // as many as half-open IKE SAs

class RevocationFetcher {
 public:
  struct Parts {
    HttpClient& http;
    Logger& log;
    crypto::Rng& rng;
    std::string folder;  // of the cache
  };
  explicit RevocationFetcher(Parts parts) : parts_(std::move(parts)) {}

  // Reads the cache. Once, before anything else.
  void load(Instant now, std::int64_t now_utc);
  // The lists of files, and our own certificates. All that came by HTTP is fetched anew.
  void use(std::shared_ptr<const crypto::RevocationLists> files,
           const std::map<std::string, std::vector<crypto::PathCertificate>>& own, Instant now);
  // The engine waits for these.
  void want(ike::JobId job, const std::vector<crypto::PathCertificate>& certificates, Instant now,
            std::int64_t now_utc);
  // A peer showed these: what is known of them is kept fresh from now on, whoever it came from.
  void watch(const std::vector<ike::Watched>& certificates, Instant now, std::int64_t now_utc);
  // The certificates of established IKE SAs: what is known of them is kept fresh.
  void keep(const std::set<crypto::CertificateId>& used, Instant now);

  struct Outcome {
    std::vector<ike::JobId> done;  // these need not wait any longer
    bool changed = false;          // lists() is another
  };
  // Answers that arrived, and what is due.
  Outcome handle(Instant now, std::int64_t now_utc);
  std::optional<Instant> next() const;

  std::shared_ptr<const crypto::RevocationLists> lists() const { return merged_; }
  // The OCSP response about the certificate of that private key, if it is in force; empty: none.
  Bytes own_status(const std::string& key, std::int64_t now_utc) const;

 private:
  enum class Kind : std::uint8_t { kOcsp, kList };
  struct Key {
    Kind kind = Kind::kOcsp;
    std::string url;
    crypto::CertificateId id;  // kList: without the serial number
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Source {
    crypto::PathCertificate certificate;
    std::string own;  // the private key of our own certificate; empty: a peer's
    Bytes nonce;
    std::uint64_t request = 0;  // under way; 0: none
    unsigned failures = 0;      // in a row
    Instant again{}, used{};
    bool armed = false;  // `again` is in due_
    bool saved = false;  // in the cache, for the next daemon
  };
  struct Item {
    crypto::PathCertificate certificate;
    std::vector<Key> order;  // OCSP first, it is fresher and smaller
    std::size_t at = 0;
    bool started = false;
  };
  struct Want {
    ike::JobId job;
    std::vector<Item> items;
  };
  struct OwnStatus {
    Bytes response;
    std::int64_t until = 0;
  };

  // Where the certificate's status is to be had first.
  static Key first_of(const crypto::PathCertificate& certificate);
  static Key key_of(Kind kind, const std::string& url, const crypto::PathCertificate& certificate);
  Source* source(const Key& key, const crypto::PathCertificate& certificate, Instant now);
  // When it is to be fetched again; while it is under way, never.
  void arm(const Key& key, Source& source, Instant at);
  void disarm(const Key& key, Source& source);
  void start(const Key& key, Source& source, Instant now);
  void failed(const Key& key, Source& source, const std::string& why, Instant now);
  void answered(const Key& key, Source& source, const HttpAnswer& answer, Instant now,
                std::int64_t now_utc);
  Result<std::int64_t> take_list(const Key& key, const Source& source, const Bytes& body,
                                 std::int64_t now_utc);
  Result<std::int64_t> take_response(const Source& source, const Bytes& body, std::int64_t now_utc);
  // Whether it need not wait any longer.
  bool go_on(Item& item, Instant now, std::int64_t now_utc);
  void refresh(Instant now);
  void merge();

  Parts parts_;
  std::shared_ptr<const crypto::RevocationLists> files_, merged_;
  crypto::RevocationLists fetched_;
  std::map<std::string, OwnStatus> own_;
  std::map<Key, Source> sources_;
  std::set<std::pair<Instant, Key>> due_;  // of those that are not under way
  std::map<std::uint64_t, Key> requests_;
  std::uint64_t last_request_ = 0;
  std::vector<Want> wants_;
  bool ready_ = false;    // one of them need not wait
  bool changed_ = false;  // fetched_ is not in merged_ yet
};

}  // namespace espalier::daemon
