package house

// floors is the import table: a package may import packages of lower floors
// only. Change it with a decision record, never to fix a build.
var floors = map[string]int{
	"fhir":          0,
	"repository":    0,
	"crypto/secret": 0,

	"audit":                           1,
	"audit/merkle":                    1,
	"audit/trace":                     1,
	"crypto/blind":                    1,
	"crypto/keyring":                  1,
	"fhir/definition":                 1,
	"fhir/fhirtest":                   1,
	"fhir/model":                      1,
	"fhir/narrative":                  1,
	"fhir/simplepath":                 1,
	"fhir/ucum":                       1,
	"internal/demo":                   1,
	"internal/limit":                  1,
	"repository/localstore":           1,
	"repository/mongostore":           1,
	"repository/mongostore/mongotest": 1,
	"repository/repositorytest":       1,

	"audit/trail":                2,
	"conformance/bench/synthea":  2,
	"crypto/field":               2,
	"crypto/kms/kmstest":         2,
	"crypto/kms/localfile":       2,
	"fhir/compartment":           2,
	"fhir/fhirpath":              2,
	"crypto/kms/vault":           2,
	"crypto/kms/vault/vaulttest": 2,
	"fhir/search/searchtest":     2,
	"authz/redact/redacttest":    2,

	"audit/event":                3,
	"authz/label":                3,
	"crypto/field/fieldtest":     3,
	"crypto/keyring/keyringtest": 3,
	"conformance/profile":        3,
	"conformance/terminology":    3,
	"fhir/patch":                 3,
	"fhir/search":                3,
	"fhir/summary":               3,

	"authz":                  4,
	"authz/smart":            4,
	"conformance":            4,
	"conformance/testscript": 4,
	"conformance/validation": 4,
	"fhir/bundle":            4,
	"repository/sealed":      4,

	"authz/consent":   5,
	"authz/keyset":    5,
	"authz/glass":     5,
	"authz/policy":    5,
	"authz/pseudonym": 5,
	"authz/redact":    5,
	"authz/token":     5,

	"authz/account":        6,
	"authz/client":         6,
	"authz/policy/archive": 6,
	"authz/office":         7,
	"fhir/interaction":     6,

	"authz/login":       7,
	"authz/issuer":      7,
	"authz/oauth":       7,
	"fhir/rest":         7,
	"internal/node":     7,
	"internal/adminapi": 8,

	"authz/login/logintest":            0,
	"authz/federation":                 8,
	"authz/issuer/issuertest":          1,
	"authz/oauth/oauthtest":            8,
	"internal/config":                  8,
	"internal/importer":                8,
	"internal/migrate":                 8,
	"internal/telemetry":               8,
	"internal/telemetry/telemetrytest": 8,

	"internal/pages": 9,

	"internal/app": 10,

	"cmd/fieldseal": 11,
}

// programs are generators and measuring tools: main packages that no package
// can import and that may use every floor.
var programs = []string{"/generate", "conformance/bench"}

// alone are packages that import nothing of ours but what is listed, whatever
// their floor: the engines see no plaintext (first law of the architecture),
// and the black-box suite knows the server by HTTP only.
var alone = map[string][]string{
	"repository":            {},
	"repository/localstore": {"repository"},
	"repository/mongostore": {"repository"},
	"conformance/suite":     {"authz/issuer/issuertest", "fhir", "fhir/fhirtest", "crypto/kms/vault/vaulttest", "repository/mongostore/mongotest"},
	"internal/house":        {},
}

// walls keep a third-party module inside the packages that hide it. A key is
// an import path or the beginning of one.
var walls = map[string][]string{
	"github.com/gin-gonic/gin":                      {"fhir/rest", "authz/oauth", "internal/adminapi"},
	"go.mongodb.org/mongo-driver":                   {"repository/mongostore", "repository/mongostore/mongotest"},
	"github.com/cockroachdb/pebble":                 {"repository/localstore"},
	"github.com/casbin":                             {"authz/policy"},
	"github.com/samply":                             {"fhir/model"},
	"go.opentelemetry.io/otel/sdk":                  {"internal/telemetry"},
	"go.opentelemetry.io/otel/exporters":            {"internal/telemetry"},
	"go.opentelemetry.io/proto":                     {"internal/telemetry/telemetrytest"},
	"google.golang.org/grpc":                        {"internal/telemetry/telemetrytest"},
	"github.com/prometheus":                         {"internal/telemetry"},
	"github.com/knadh/koanf":                        {"internal/config"},
	"github.com/hashicorp/vault":                    {}, // three calls over HTTP need no client that listens to the environment
	"github.com/openbao":                            {},
	"github.com/aws":                                {"crypto/kms/aws"},
	"cloud.google.com/go":                           {"crypto/kms/gcp"},
	"github.com/Azure":                              {"crypto/kms/azure"},
	"github.com/ThalesGroup/crypto11":               {"crypto/kms/pkcs11"},
	"github.com/tink-crypto":                        {}, // reference vectors, tests only
	"github.com/getkin":                             {}, // reads the OpenAPI document, tests only
	"github.com/transparency-dev/merkle":            {}, // independent verifier, tests only
	"github.com/iimos/ucum":                         {"fhir/ucum"},
	"github.com/gofhir":                             {}, // second opinion, tests only
	"github.com/stretchr":                           {},
	"encoding/gob":                                  {},                                                                                                  // no format that depends on Go types
	"math/rand":                                     {"internal/importer", "repository/localstore", "fhir/search/searchtest", "authz/redact/redacttest"}, // jitter of retries, first value of a counter, questions and resources of tests; keys, nonces and ids come from crypto/rand
	"net/http/pprof":                                {"internal/app"},                                                                                    // its init registers on the default mux, which nothing serves
	"expvar":                                        {},                                                                                                  // the same
	"go.opentelemetry.io/contrib/bridges/otelslog":  {"internal/telemetry"},
	"go.opentelemetry.io/contrib/instrumentation/":  {"fhir/rest", "internal/app", "internal/telemetry"},
	"golang.org/x/time":                             {"internal/limit"},
	"github.com/spf13/cobra":                        {"cmd/fieldseal"},
	"github.com/schollz/progressbar":                {"cmd/fieldseal", "internal/app", "internal/importer"},
	"github.com/go-jose":                            {"authz/oauth", "authz/keyset", "authz/issuer"},
	"github.com/a-h/templ":                          {"internal/pages"},
	"github.com/ory":                                {"authz/oauth"},
	"golang.org/x/oauth2":                           {"authz/federation"},
	"github.com/go-webauthn":                        {"authz/login"},
	"github.com/pquerna":                            {"authz/login"},
	"golang.org/x/sys/unix":                         {"audit/trail", "crypto/kms/localfile", "internal/adminapi", "repository/localstore"},
	"github.com/fieldseal/fieldseal/fhir/fhirtest":  {}, // test data is no part of the product
	"github.com/fieldseal/fieldseal/internal/house": {},
}

// apiOnlyFrom is the lowest floor that may use the OpenTelemetry API.
const apiOnlyFrom = 1

// testPackages end in one of these: real fakes and contract suites, importable
// from _test.go files and from each other, never by the product.
var testPackages = []string{"fhirtest", "fieldtest", "keyringtest", "kmstest", "repositorytest", "vaulttest", "telemetrytest", "mongotest", "oauthtest", "logintest", "issuertest", "redacttest"}

// callers says which package alone may call a constructor whose result is
// trusted elsewhere.
var callers = []struct {
	pkg, name string
	only      []string // packages, or single files
	why       string
}{
	{"authz", "NewSubject", []string{"authz/token", "authz/policy/selftest.go"}, "a subject is an authenticated caller"},
	{"authz", "NewGrant", []string{"authz/policy"}, "a grant is a decision"},
	{"audit", "NewReceipt", []string{"audit/trail"}, "a receipt says that the event is durable"},
}

// forbidden are names that no file of the product may use.
var forbidden = map[string]string{
	"EnableEnforce":           "casbin then allows everything (access.md, trap 5)",
	"NewCachedEnforcer":       "keeps allowing after the rule is gone (trap 1)",
	"NewSyncedCachedEnforcer": "keeps allowing after the rule is gone (trap 1)",
	"CachedEnforcer":          "keeps allowing after the rule is gone (trap 1)",
	"SyncedCachedEnforcer":    "keeps allowing after the rule is gone (trap 1)",
	"InsecureSkipVerify":      "TLS without a check of the peer",
	"DefaultServeMux":         "whatever registered itself would be served",
}
