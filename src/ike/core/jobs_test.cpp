#include "ike/core/jobs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "crypto/pki_testing.hpp"

namespace espalier::ike {
namespace {

using ::testing::HasSubstr;

class OneKey final : public KeyStore {
 public:
  explicit OneKey(std::shared_ptr<const crypto::PrivateKey> key) : key_(std::move(key)) {}
  std::shared_ptr<const crypto::PrivateKey> find(const std::string&) const override { return key_; }

 private:
  std::shared_ptr<const crypto::PrivateKey> key_;
};

std::shared_ptr<const crypto::PrivateKey> load(const std::string& name) {
  std::ifstream file(std::string(ESPALIER_TEST_DATA) + "/certificates/" + name + ".key");
  const std::string pem{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return crypto::PrivateKey::from_pem(as_bytes(pem)).value();
}

// RFC 7427 section 3: towards a peer that sent no SIGNATURE_HASH_ALGORITHMS.
TEST(SignJob, WithoutHashesOnlyTheMethodsOfRfc4754Remain) {
  crypto::SeededRng rng(1);
  const Bytes octets{1, 2, 3};
  using Method = crypto::AuthMethod;
  for (const auto& [name, method] : {std::pair("ecdsa256", Method::kEcdsa256),
                                     {"ecdsa384", Method::kEcdsa384},
                                     {"ecdsa521", Method::kEcdsa521}}) {
    const auto key = load(name);
    const JobResult result = run_job(SignJob{"k", octets, {}}, rng, OneKey(key), 0);
    ASSERT_FALSE(result.error) << result.error->message;
    EXPECT_EQ(result.auth_method, method);
    EXPECT_TRUE(crypto::verify_signature(key->public_der(), method, octets, result.auth_data).ok());
  }
  for (const char* name : {"rsa2048", "ed25519"}) {
    const JobResult result = run_job(SignJob{"k", octets, {}}, rng, OneKey(load(name)), 0);
    ASSERT_TRUE(result.error);
    EXPECT_THAT(result.error->message, HasSubstr("RFC 7427"));
  }
}

TEST(SignJob, WithHashesItIsMethod14) {
  crypto::SeededRng rng(1);
  for (const char* name : {"ecdsa256", "rsa2048"}) {
    const auto key = load(name);
    const JobResult result =
        run_job(SignJob{"k", {1}, {crypto::HashId::kSha2_256}}, rng, OneKey(key), 0);
    ASSERT_FALSE(result.error);
    EXPECT_EQ(result.auth_method, crypto::AuthMethod::kDigitalSignature);
  }
}

TEST(VerifyJob, RsaWithSha1IsRefusedByName) {
  crypto::SeededRng rng(1);
  const crypto::test::TestAuthority root("Root");
  VerifyJob job;
  job.chain = {root.issue("h", {false, {{NID_subject_alt_name, "DNS:h"}}})};
  job.anchors = {root.certificate};
  job.identity = {wire::ike::IdType::kFqdn, {'h'}};
  job.method = crypto::AuthMethod::kRsaSignature;
  const JobResult result = run_job(job, rng, OneKey(nullptr), 1'800'000'000);
  ASSERT_TRUE(result.error);
  EXPECT_THAT(result.error->message, HasSubstr("RSA and SHA-1 (method 1), which is refused"));
}

}  // namespace
}  // namespace espalier::ike
