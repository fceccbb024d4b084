// `espalier manual`: keys, sheets and other devices' notations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fake_environment.hpp"
#include "cli/verb.hpp"
#include "crypto/rng.hpp"

namespace espalier::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class ChanceEnvironment : public FakeEnvironment {
 public:
  Result<SecretBytes> random(std::size_t count) override {
    Bytes bytes(count);
    crypto::SystemRng().fill(bytes);
    return SecretBytes(std::move(bytes));
  }
};

class ManualVerb : public ::testing::Test {
 protected:
  int run(std::vector<std::string> arguments) {
    env.out_text.clear();
    env.err_text.clear();
    return cli::run(env, arguments);
  }
  std::string out(std::vector<std::string> arguments) {
    EXPECT_EQ(run(std::move(arguments)), kDone) << env.err_text;
    return env.out_text;
  }
  void write(const std::string& inventory, const std::string& keys) {
    env.files["/etc/espalier/mesh.yaml"] = inventory;
    env.files["/etc/espalier/private/k"] = keys;
  }
  ChanceEnvironment env;
};

constexpr const char* kInventory =
    "mesh: m\nhosts:\n  bender: 192.0.2.1\nmanual:\n  bender-attic:\n    address: 198.51.100.7\n"
    "    subnets: [10.9.0.0/24]\n    suite: aes128-sha256\n    spi: {in: 4096, out: 0x2000}\n"
    "    secret: \"file:k\"\n";

TEST_F(ManualVerb, new_keys_fit_their_suite_and_the_sheet_is_swapped) {
  const std::string keys = out({"manual", "new", "--suite", "aes128-sha256"});
  EXPECT_THAT(keys, HasSubstr("# In mesh.yaml: suite: aes128-sha256, spi: {in: 0x"));
  write(kInventory, keys);
  const json theirs = json::parse(out({"manual", "sheet", "attic", "--json", "--keys"}));
  const json own =
      json::parse(out({"manual", "sheet", "bender-attic", "--own", "--json", "--keys"}));
  EXPECT_EQ(own["local"], "192.0.2.1");
  EXPECT_EQ(theirs["local"], "198.51.100.7");
  EXPECT_EQ(own["keys"][0]["spi_in"], 4096);
  EXPECT_EQ(theirs["keys"][0]["spi_in"], 8192);
  EXPECT_EQ(theirs["keys"][0]["spi_out"], 4096);
  EXPECT_EQ(own["keys"][0]["encr_in"], theirs["keys"][0]["encr_out"]);
  EXPECT_EQ(own["keys"][0]["integ_out"], theirs["keys"][0]["integ_in"]);
  EXPECT_NE(own["keys"][0]["encr_in"], own["keys"][0]["encr_out"]);
  EXPECT_EQ(own["keys"][0]["encr_in"].get<std::string>().size(), 34u);
  EXPECT_EQ(own["local_ts"], theirs["remote_ts"]);
  // No secret in JSON that nobody asked for.
  const json bare = json::parse(out({"manual", "sheet", "attic", "--json"}));
  EXPECT_EQ(bare["keys"][0]["spi_in"], 8192);
  EXPECT_FALSE(bare["keys"][0].contains("encr_in"));
  EXPECT_THAT(env.out_text, Not(HasSubstr(theirs["keys"][0]["encr_in"].get<std::string>())));
  EXPECT_EQ(run({"manual", "sheet", "attic", "--keys"}), kWrongUsage);
  const std::string text = out({"manual", "sheet", "attic"});
  EXPECT_THAT(text, HasSubstr("8192 (0x2000)"));
  EXPECT_THAT(text, HasSubstr("attic-bender"));
}

TEST_F(ManualVerb, the_sheet_as_ip_commands) {
  write(kInventory, out({"manual", "new", "--suite", "aes128-sha256"}));
  const std::string text = out({"manual", "sheet", "attic", "--ip"});
  EXPECT_THAT(text,
              HasSubstr("ip xfrm state add src 192.0.2.1 dst 198.51.100.7 proto esp spi 0x2000"));
  EXPECT_THAT(text,
              HasSubstr("ip xfrm state add src 198.51.100.7 dst 192.0.2.1 proto esp spi 0x1000"));
  EXPECT_THAT(text, HasSubstr("auth-trunc 'hmac(sha256)' 0x"));
  EXPECT_THAT(text,
              HasSubstr("ip xfrm policy add src 10.9.0.0/24 dst 192.0.2.1/32 dir out priority 2000 "
                        "tmpl src 198.51.100.7 dst 192.0.2.1"));
  EXPECT_THAT(text, HasSubstr("dir fwd"));
}

TEST_F(ManualVerb, what_stays_outside_is_on_the_sheet) {
  const std::string inventory = kInventory;
  write("defaults: {except: [{proto: tcp, port: 22, side: local}, {proto: udp, port: 500-599}]}\n" +
            inventory,
        out({"manual", "new", "--suite", "aes128-sha256"}));
  EXPECT_THAT(out({"manual", "sheet", "attic"}), HasSubstr("outside IPsec  "));
  const std::string text = out({"manual", "sheet", "attic", "--ip"});
  // Port 22 of bender, seen from attic.
  EXPECT_THAT(text,
              HasSubstr("ip xfrm policy add src 10.9.0.0/24 dst 192.0.2.1/32 proto 6 dport 22 "
                        "dir out priority 1000\n"));
  EXPECT_THAT(text,
              HasSubstr("ip xfrm policy add src 192.0.2.1/32 dst 10.9.0.0/24 proto 6 sport 22 "
                        "dir in priority 1000\n"));
  EXPECT_THAT(text, HasSubstr("# outside IPsec too, for which ip xfrm has no words"));
}

TEST_F(ManualVerb, devices_that_have_one_key_are_told) {
  write(kInventory, out({"manual", "new", "--suite", "aes128-sha256"}));
  EXPECT_EQ(run({"manual", "sheet", "attic", "--device", "sonicwall"}), kWrongUsage);
  EXPECT_THAT(env.err_text, HasSubstr("--one"));
  EXPECT_EQ(run({"manual", "sheet", "attic", "--device", "zyxel"}), kWrongUsage);
  EXPECT_THAT(env.err_text, HasSubstr("has one SPI"));
  write(kInventory, out({"manual", "new", "--suite", "aes128-sha256", "--one"}));
  const std::string text = out({"manual", "sheet", "attic", "--device", "sonicwall"});
  EXPECT_THAT(text, HasSubstr("2000  (that is 8192 (0x2000))"));
  EXPECT_THAT(text, Not(HasSubstr("key  0x")));
}

// The table of the Halon's manual, with keys that are good.
TEST_F(ManualVerb, notations_of_other_devices) {
  const std::string hex_encr = "8f1d6a0c5be4237790ad41c2f6831be7";
  const std::string hex_integ = "17c9e24b80f65d3a9941ab07ce52d8831f64b7a0";
  const std::vector<std::string> to_us{"manual",  "convert",     "/f",
                                       "--suite", "aes128-sha1", "--from"};
  for (const std::string device : {"sonicwall", "juniper", "halon-sx"}) {
    env.files["/f"] = "spi: 100\nencr: " + hex_encr + "\ninteg: " + hex_integ + "\n";
    std::vector<std::string> arguments = to_us;
    arguments.push_back(device);
    const std::string ours = out(arguments);
    EXPECT_THAT(ours, HasSubstr("spi: 0x100, which is 256 (0x100)"));
    EXPECT_THAT(ours, HasSubstr("encr: 0x" + hex_encr));
    // There and back.
    arguments.insert(arguments.end(), {"--to", device});
    EXPECT_EQ(out(arguments), env.files["/f"]);
  }
  env.files["/f"] = "spi: 256\nencr: kD8}wq-Z0;mB!x7R\ninteg: J2^vT5e_hPq~9sLw@c3N\n";
  const std::string zyxel = out(
      {"manual", "convert", "/f", "--suite", "aes128-sha1", "--from", "zyxel", "--to", "halon-sr"});
  EXPECT_THAT(zyxel, HasSubstr("spi: 256\n"));
  EXPECT_THAT(zyxel, HasSubstr("encr: 0x6b44387d77712d5a303b6d4221783752"));
  // Not every octet is a character.
  env.files["/f"] = "spi: 100\nencr: " + hex_encr + "\ninteg: " + hex_integ + "\n";
  EXPECT_EQ(run({"manual", "convert", "/f", "--suite", "aes128-sha1", "--from", "juniper", "--to",
                 "zyxel"}),
            kWrongUsage);
  EXPECT_THAT(env.err_text, HasSubstr("cannot be converted"));
}

TEST_F(ManualVerb, the_examples_of_the_manuals_are_refused) {
  env.files["/f"] = "spi: 100\nencr: 6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b\n";
  EXPECT_EQ(run({"manual", "convert", "/f", "--suite", "aes128-sha1", "--from", "sonicwall"}),
            kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("/f:2:7: 'encr' is one pattern over and over"));
  EXPECT_THAT(env.err_text, Not(HasSubstr("6b6b")));
  env.files["/f"] = "spi: 256\nencr: kkkkkkkkkkkkkkkk\n";
  EXPECT_EQ(run({"manual", "convert", "/f", "--suite", "aes128-sha1", "--from", "zyxel"}),
            kBadInputFile);
  env.files["/f"] = "spi: 100\n";  // decimal here
  EXPECT_EQ(run({"manual", "convert", "/f", "--from", "zyxel"}), kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("reserved by IANA"));
}

TEST_F(ManualVerb, printable_keys_have_the_exact_length) {
  for (int i = 0; i < 50; ++i) {
    const std::string keys =
        out({"manual", "new", "--suite", "aes256-sha1", "--one", "--printable"});
    const std::size_t at = keys.find("encr: ");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(keys.find('\n', at) - at - 6, 32u);
    env.files["/f"] = "spi: 256\n" + keys.substr(at);
    EXPECT_EQ(run({"manual", "convert", "/f", "--suite", "aes256-sha1", "--from", "zyxel"}), kDone)
        << env.err_text;
  }
}

TEST_F(ManualVerb, faults_of_a_key_file_have_their_place_and_no_key) {
  write(kInventory, "# mine\nencr: 0x0123\n");
  EXPECT_EQ(run({"manual", "sheet", "attic"}), kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("private/k:2:7: the key 'encr' has 2 octets"));
  EXPECT_EQ(run({"manual", "new", "--suite", "aes256gcm16"}), kWrongUsage);
  EXPECT_THAT(env.err_text, HasSubstr("outlive a restart"));
  EXPECT_EQ(run({"manual", "sheet", "nobody"}), kBadInputFile);
}

}  // namespace
}  // namespace espalier::cli
