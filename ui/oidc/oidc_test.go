package oidc_test

import (
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/oidc"
	"vetting/ui/oidc/oidctest"
)

const redirect = "https://vetting.test/login/oidc/back"

func open(t *testing.T, change func(*oidc.Config)) (*oidctest.Provider, *oidc.Provider) {
	t.Helper()

	there := oidctest.New(t)
	cfg := oidc.Config{
		Issuer: there.URL, ClientID: oidctest.Client, Secret: func() (string, error) { return oidctest.Secret, nil }, Name: "Lab",
		Admins: []string{"ada@example.org"}, Operators: []string{"racks"}, Viewers: []string{"@example.net"}, Now: time.Now, Rand: rand.Reader,
	}

	if change != nil {
		change(&cfg)
	}

	p, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}

	return there, p
}

// signIn goes through both halves.
func signIn(t *testing.T, there *oidctest.Provider, p *oidc.Provider, again string) (oidc.Person, error) {
	t.Helper()

	to, cookie, err := p.Begin(t.Context(), redirect, "/hosts", again)
	if err != nil {
		return oidc.Person{}, err
	}

	back := there.SignIn(t, to)

	who, next, session, err := p.Finish(t.Context(), oidc.Back{Redirect: redirect, Cookie: cookie, State: back.Get("state"), Code: back.Get("code"), Error: back.Get("error")})
	if next != "/hosts" || session != again {
		t.Errorf("leads to %q, session %q", next, session)
	}

	return who, err
}

func code(err error) string {
	if problem, ok := errors.AsType[*core.Problem](err); ok {
		return problem.Code
	}

	return ""
}

func TestAPersonIsGivenTheRoleOfTheirAddressOrGroup(t *testing.T) {
	t.Parallel()

	there, p := open(t, nil)

	for _, c := range []struct {
		claims map[string]any
		name   string
		role   route.Role
		code   string
	}{
		{map[string]any{"sub": "1", "email": "Ada@example.org", "email_verified": true}, "ada@example.org", route.Administrator, ""},
		{map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": false, "preferred_username": "ada"}, "ada", "", "oidc/not-invited"},
		{map[string]any{"sub": "1", "email": "ada@example.org", "preferred_username": "ada"}, "ada", "", "oidc/not-invited"},
		{map[string]any{"sub": "2", "preferred_username": "bob", "groups": []string{"x", "racks"}}, "bob", route.Operator, ""},
		{map[string]any{"sub": "2", "preferred_username": "bob", "groups": "racks"}, "bob", route.Operator, ""},
		{map[string]any{"sub": "2", "preferred_username": "racks", "groups": []string{"Racks"}}, "racks", "", "oidc/not-invited"},
		{map[string]any{"sub": "3", "email": "eve@example.net", "email_verified": true}, "eve@example.net", route.Viewer, ""},
		{map[string]any{"sub": "3", "email": "eve@notexample.net", "email_verified": true}, "eve@notexample.net", "", "oidc/not-invited"},
		{map[string]any{"sub": "3", "email": "eve@evil@example.net", "email_verified": true}, "eve@evil@example.net", "", "oidc/not-invited"},
		{map[string]any{"sub": "4\x1b[31m"}, "4[31m", "", "oidc/not-invited"},
	} {
		there.Claims = c.claims

		who, err := signIn(t, there, p, "")
		if who.Name != c.name || who.Role != c.role || code(err) != c.code || (c.code == "") != (err == nil) {
			t.Errorf("%v: %+v, %v", c.claims, who, err)
		}
	}
}

func TestWhatDoesNotProveWhoItIsIsRefused(t *testing.T) {
	t.Parallel()

	for name, spoil := range map[string]func(*oidctest.Provider){
		"a signature by another key": func(p *oidctest.Provider) { p.OtherKey = true },
		"an altered signature":       func(p *oidctest.Provider) { p.Alter = true },
		"no signature":               func(p *oidctest.Provider) { p.Unsigned = true },
		"another nonce":              func(p *oidctest.Provider) { p.Claims["nonce"] = "other" },
		"no nonce":                   func(p *oidctest.Provider) { p.Claims["nonce"] = "" },
		"another audience":           func(p *oidctest.Provider) { p.Claims["aud"] = "somebody else" },
		"another issuer":             func(p *oidctest.Provider) { p.Claims["iss"] = "https://evil.test" },
		"an expired token":           func(p *oidctest.Provider) { p.Claims["exp"] = time.Now().Add(-time.Hour).Unix() },
		"no ID token":                func(p *oidctest.Provider) { p.Empty = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			there, p := open(t, nil)
			there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}
			spoil(there)

			if who, err := signIn(t, there, p, ""); code(err) != "oidc/unproven" || !errors.Is(err, core.ErrUnauthorized) || who.Role != "" {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

func TestASignInBelongsToItsBrowserAndItsTime(t *testing.T) {
	t.Parallel()

	now := time.Now()
	there, p := open(t, func(c *oidc.Config) { c.Now = func() time.Time { return now } })
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}

	to, cookie, err := p.Begin(t.Context(), redirect, "/", "")
	if err != nil {
		t.Fatal(err)
	}

	asked, _ := url.Parse(to)
	if q := asked.Query(); q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("response_type") != "code" {
		t.Errorf("asked %s", to)
	}

	back := there.SignIn(t, to)
	whole := oidc.Back{Redirect: redirect, Cookie: cookie, State: back.Get("state"), Code: back.Get("code")}

	for name, change := range map[string]func(*oidc.Back){
		"no cookie":         func(b *oidc.Back) { b.Cookie = "" },
		"an altered cookie": func(b *oidc.Back) { b.Cookie = "A" + b.Cookie[1:] + "A" },
		"another state":     func(b *oidc.Back) { b.State = "x" },
		"no state":          func(b *oidc.Back) { b.State = "" },
	} {
		b := whole
		change(&b)

		if _, _, _, err := p.Finish(t.Context(), b); code(err) != "oidc/late" {
			t.Errorf("%s: %v", name, err)
		}
	}

	now = now.Add(oidc.FlowLife + time.Second)

	if _, _, _, err := p.Finish(t.Context(), whole); code(err) != "oidc/late" {
		t.Errorf("too late: %v", err)
	}

	now = now.Add(-oidc.FlowLife)

	if _, _, _, err := p.Finish(t.Context(), whole); err != nil {
		t.Errorf("in time: %v", err)
	}

	if _, _, _, err := p.Finish(t.Context(), whole); code(err) != "oidc/unproven" {
		t.Errorf("a code used twice: %v", err)
	}
}

// Whoever must prove once more who they are has signed in at the provider just now.
func TestSigningInAgainNeedsTheProvidersWordThatItWasNow(t *testing.T) {
	t.Parallel()

	there, p := open(t, nil)

	for at, want := range map[any]string{
		nil: "oidc/not-fresh", time.Now().Add(-time.Hour).Unix(): "oidc/not-fresh", time.Now().Unix(): "",
	} {
		there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}
		if at != nil {
			there.Claims["auth_time"] = at
		}

		if _, err := signIn(t, there, p, "a session"); code(err) != want {
			t.Errorf("auth_time %v: %v", at, err)
		}
	}

	// An appliance whose clock is behind does not take an old sign-in for a new one.
	behind, slow := open(t, func(c *oidc.Config) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } })
	behind.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true, "auth_time": time.Now().Add(-30 * time.Minute).Unix()}

	if _, err := signIn(t, behind, slow, "a session"); code(err) != "oidc/not-fresh" {
		t.Errorf("half an hour ago, by a clock that is an hour behind: %v", err)
	}

	if asked := there.Asked(); asked.Get("prompt") != "login" || asked.Get("max_age") != "0" {
		t.Errorf("asked %v", asked)
	}
}

func TestAProviderThatIsDownIsToldAndAskedAgain(t *testing.T) {
	t.Parallel()

	now := time.Now()
	there, p := open(t, func(c *oidc.Config) { c.Now = func() time.Time { return now } })
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}
	there.Down(true)

	if _, err := signInDown(t, p); code(err) != "oidc/down" || !strings.Contains(err.Error(), "password") {
		t.Errorf("%v", err)
	}

	there.Down(false)

	if _, err := signInDown(t, p); code(err) != "oidc/down" {
		t.Errorf("asked again at once: %v", err)
	}

	now = now.Add(6 * time.Second)

	if _, err := signIn(t, there, p, ""); err != nil {
		t.Error(err)
	}
}

func signInDown(t *testing.T, p *oidc.Provider) (string, error) {
	t.Helper()

	to, _, err := p.Begin(t.Context(), redirect, "/", "")

	return to, err
}

func TestAConfigurationThatLetsNobodyInOrIsNotSafeIsRefused(t *testing.T) {
	t.Parallel()

	for name, cfg := range map[string]oidc.Config{
		"plain HTTP": {Issuer: "http://id.example.org", ClientID: "x", Admins: []string{"a@b"}},
		"no issuer":  {ClientID: "x", Admins: []string{"a@b"}},
		"no client":  {Issuer: "https://id.example.org", Admins: []string{"a@b"}},
		"nobody":     {Issuer: "https://id.example.org", ClientID: "x"},
	} {
		cfg.Rand, cfg.Now = rand.Reader, time.Now

		if _, err := oidc.New(cfg); code(err) != "oidc/bad-config" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRulesAreToldApartByAllThatTheySay(t *testing.T) {
	t.Parallel()

	rules := func(change func(*oidc.Config)) string {
		cfg := oidc.Config{Issuer: "https://id.example.org", ClientID: "x", Admins: []string{"a", "b"}, Viewers: []string{"c"}, Rand: rand.Reader, Now: time.Now}
		change(&cfg)

		p, err := oidc.New(cfg)
		if err != nil {
			t.Fatal(err)
		}

		return p.Rules()
	}
	same := rules(func(*oidc.Config) {})

	for name, change := range map[string]func(*oidc.Config){
		"provider": func(cfg *oidc.Config) { cfg.Issuer = "https://other.example.org" },
		"client":   func(cfg *oidc.Config) { cfg.ClientID = "y" },
		"claim":    func(cfg *oidc.Config) { cfg.Groups = "roles" },
		"one less": func(cfg *oidc.Config) { cfg.Admins = []string{"a"} },
		"joined":   func(cfg *oidc.Config) { cfg.Admins = []string{"a b"} },
		"moved":    func(cfg *oidc.Config) { cfg.Admins, cfg.Operators = []string{"a"}, []string{"b"} },
	} {
		if rules(change) == same {
			t.Errorf("%s: taken for the same rules", name)
		}
	}

	if got := rules(func(cfg *oidc.Config) { cfg.Name, cfg.Scopes = "Lab", []string{"email"} }); got != same {
		t.Error("what people call the provider is taken for a rule")
	}

	if (*oidc.Provider)(nil).Rules() == same {
		t.Error("no provider is taken for this one")
	}
}

// Whatever a provider answers, the log gets a line of it: anybody can have it asked.
func TestWhatTheProviderSaysInRefusingIsKeptShort(t *testing.T) {
	t.Parallel()

	there, p := open(t, nil)
	there.Claims = map[string]any{"sub": "1", "email": "ada@example.org", "email_verified": true}
	there.Refusal = "no such code\n" + strings.Repeat("<p>sorry</p>\n", 50_000)

	_, err := signIn(t, there, p, "")
	if code(err) != "oidc/unproven" || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "502") || !strings.Contains(err.Error(), "no such code") {
		t.Errorf("%d bytes: %.600v", len(err.Error()), err)
	}
}
