// Package oidctest is a small provider of OpenID Connect for tests. No program links it.
package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// The client that the provider knows.
const (
	Client = "vetting"
	Secret = "a client's secret"
)

// Provider signs in whoever comes. What it says of them, and how it is spoiled, is set
// before somebody signs in.
type Provider struct {
	URL    string
	Claims map[string]any // besides those that every ID token has, and instead of them

	OtherKey bool   // sign with a key that is not published
	Alter    bool   // change the signature
	Unsigned bool   // alg: none
	Empty    bool   // answer without an ID token
	Refusal  string // refuse every code, in these words

	mu    sync.Mutex
	key   *rsa.PrivateKey
	other *rsa.PrivateKey
	down  bool
	asked url.Values
	codes map[string]url.Values // what was asked for with each
}

// New starts one, which ends with the test.
func New(t *testing.T) *Provider {
	t.Helper()

	p := &Provider{codes: map[string]url.Values{}}

	for _, at := range []**rsa.PrivateKey{&p.key, &p.other} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}

		*at = key
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encode(p.key.N.Bytes()), "e": encode(big.NewInt(int64(p.key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", p.token)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()

		if down {
			http.Error(w, "down", http.StatusBadGateway)

			return
		}

		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)

	p.URL = server.URL

	return p
}

// Down lets it answer nothing of use, or again.
func (p *Provider) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.down = down
}

// Asked is what the last browser came with.
func (p *Provider) Asked() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.asked
}

// SignIn is a person who signs in where to leads, and the query they come back with.
func (p *Provider) SignIn(t *testing.T, to string) url.Values {
	t.Helper()

	at, err := url.Parse(to)
	if err != nil || at.Path != "/authorize" || at.Query().Get("client_id") != Client {
		t.Fatalf("asked to sign in at %s: %v", to, err)
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	p.asked = at.Query()
	code := rand.Text()
	p.codes[code] = p.asked

	return url.Values{"state": {p.asked.Get("state")}, "code": {code}}
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.Refusal != "" {
		http.Error(w, p.Refusal, http.StatusBadGateway)

		return
	}

	code := r.PostFormValue("code")
	asked, known := p.codes[code]
	delete(p.codes, code)

	id, secret, basic := r.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}

	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))

	if !known || id != Client || secret != Secret || encode(sum[:]) != asked.Get("code_challenge") || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))

		return
	}

	claims := map[string]any{"iss": p.URL, "aud": Client, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "nonce": asked.Get("nonce")}
	maps.Copy(claims, p.Claims)

	body := map[string]any{"access_token": "x", "token_type": "Bearer"}
	if !p.Empty {
		body["id_token"] = p.sign(claims)
	}

	answer(w, body)
}

func (p *Provider) sign(claims map[string]any) string {
	head := map[string]any{"alg": "RS256", "kid": "1"}
	if p.Unsigned {
		head["alg"] = "none"
	}

	text := encode(must(json.Marshal(head))) + "." + encode(must(json.Marshal(claims)))
	if p.Unsigned {
		return text + "."
	}

	key := p.key
	if p.OtherKey {
		key = p.other
	}

	sum := sha256.Sum256([]byte(text))
	signature := must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))

	if p.Alter {
		signature[0] ^= 1
	}

	return text + "." + encode(signature)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}

	return v
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
