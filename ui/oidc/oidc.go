// Package oidc lets people in whom a provider of OpenID Connect vouches for
// (OpenID Connect Core 1.0, the authorization code flow, with PKCE by RFC 7636). It keeps
// nothing: what a sign-in needs between its two halves travels, sealed, in a cookie.
package oidc

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"vetting/core"
	"vetting/core/route"
)

const (
	// FlowLife is how long somebody has to sign in at the provider.
	FlowLife = 10 * time.Minute
	// FreshLife is how long ago a sign-in that is asked for again may have been.
	FreshLife = 2 * time.Minute

	patience   = 10 * time.Second // for each answer of the provider
	pause      = 5 * time.Second  // before one that did not answer is asked again
	mostAnswer = 1 << 20
	longest    = 200 // bytes of a name
)

// Config is what a Provider needs. Secret may be nil for a public client; Client may be
// nil.
type Config struct {
	Issuer   string // URL, as the provider writes it
	ClientID string
	Secret   func() (string, error) // read whenever it is needed
	Name     string                 // what people call it: "Sign in with NAME"
	Scopes   []string               // beyond openid; default: profile, email
	Groups   string                 // the claim that lists groups; default: groups
	Admins   []string               // whom each role is given: an address (ada@example.org), all of a domain (@example.org), or a group
	Operators,
	Viewers []string
	Now    func() time.Time
	Rand   io.Reader
	Client *http.Client
}

// Person is somebody the provider vouches for.
type Person struct {
	Issuer  string // with Subject who they are, for ever
	Subject string
	Name    string // what people call them
	Role    route.Role
	At      time.Time // when they signed in at the provider; zero: it did not say
}

// Provider is a provider of OpenID Connect. Safe for concurrent use.
type Provider struct {
	cfg  Config
	seal cipher.AEAD
	own  *http.Client

	mu    sync.Mutex
	found *gooidc.Provider // nil: it has not answered yet
	tried time.Time        // when it did not
}

// New checks cfg. The provider is not asked anything yet, so it may be down.
func New(cfg Config) (*Provider, error) {
	at, err := url.Parse(cfg.Issuer)

	switch {
	case err != nil || at.Host == "" || at.RawQuery != "" || at.Fragment != "":
		return nil, core.NewProblem(core.ErrInvalid, "oidc/bad-config", "oidc.issuer is the URL of the provider, as in https://id.example.org/realms/lab.")
	case at.Scheme != "https" && (at.Scheme != "http" || !loopback(at.Hostname())):
		return nil, core.NewProblem(core.ErrInvalid, "oidc/bad-config", "oidc.issuer must begin with https://.")
	case cfg.ClientID == "":
		return nil, core.NewProblem(core.ErrInvalid, "oidc/bad-config", "oidc.client_id is the name of this appliance at the provider.")
	case len(cfg.Admins)+len(cfg.Operators)+len(cfg.Viewers) == 0:
		return nil, core.NewProblem(core.ErrInvalid, "oidc/bad-config", "Say who may come in: oidc.admins, oidc.operators or oidc.viewers.")
	}

	if cfg.Name == "" {
		cfg.Name = at.Hostname()
	}

	if cfg.Groups == "" {
		cfg.Groups = "groups"
	}

	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{"profile", "email"}
	}

	p := &Provider{cfg: cfg, own: bounded(cfg.Client)}

	key := make([]byte, 32)
	if _, err := io.ReadFull(cfg.Rand, key); err != nil {
		return nil, fmt.Errorf("drawing a key: %w", err)
	}

	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}

	p.seal, err = cipher.NewGCM(block)

	return p, err
}

// Rules tells apart by whom and by what rules people are let in and given their roles. nil:
// nobody is, which is told apart, too.
func (p *Provider) Rules() string {
	if p == nil {
		return ""
	}

	sum := sha256.New()
	for _, list := range [][]string{{p.cfg.Issuer, p.cfg.ClientID, p.cfg.Groups}, p.cfg.Admins, p.cfg.Operators, p.cfg.Viewers} {
		_, _ = fmt.Fprintf(sum, "%q\n", list) // a hash takes all
	}

	return hex.EncodeToString(sum.Sum(nil))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)

	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bounded is a client that waits for nobody long, and reads nothing without end.
func bounded(given *http.Client) *http.Client {
	client := &http.Client{Timeout: patience}
	if given != nil {
		client.Transport = given.Transport
	}

	client.Transport = short{client.Transport}

	return client
}

type short struct{ http.RoundTripper }

// RoundTrip bounds the answer.
func (s short) RoundTrip(req *http.Request) (*http.Response, error) {
	next := s.RoundTripper
	if next == nil {
		next = http.DefaultTransport
	}

	res, err := next.RoundTrip(req)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, mostAnswer), res.Body}
	}

	return res, err
}

// Name is what people call the provider.
func (p *Provider) Name() string { return p.cfg.Name }

// flow is what the second half of a sign-in must know of the first.
type flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Next     string    `json:"p"`           // path to go to
	Again    string    `json:"a,omitempty"` // the session whose owner signs in again
	Begun    time.Time `json:"t"`
}

// Begin begins a sign-in that comes back to redirect and leads to the path next. again is
// the session of whoever must prove once more who they are; empty: anybody signs in.
// It returns where to send the browser, and what its cookie must hold until then.
func (p *Provider) Begin(ctx context.Context, redirect, next, again string) (to, cookie string, err error) {
	config, _, err := p.config(ctx, redirect)
	if err != nil {
		return "", "", err
	}

	f := flow{Next: next, Again: again, Begun: p.cfg.Now(), Verifier: oauth2.GenerateVerifier()}

	for _, at := range []*string{&f.State, &f.Nonce} {
		raw := make([]byte, 32)
		if _, err := io.ReadFull(p.cfg.Rand, raw); err != nil {
			return "", "", fmt.Errorf("drawing a secret: %w", err)
		}

		*at = base64.RawURLEncoding.EncodeToString(raw)
	}

	if cookie, err = p.close(&f); err != nil {
		return "", "", err
	}

	options := []oauth2.AuthCodeOption{gooidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if again != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}

	return config.AuthCodeURL(f.State, options...), cookie, nil
}

// Back is what somebody comes back with.
type Back struct {
	Redirect string // as it was given to Begin
	Cookie   string
	State    string // of the query, as are those below
	Code     string
	Error    string // the provider's word for why not

	// Admit refuses whoever tries too often. It is asked before the provider is, and only of
	// a sign-in that was begun here. Nil admits everybody.
	Admit func() error
}

// Finish ends a sign-in: who it is, the path to go to, and the session whose owner was to
// prove who they are. The error is a *core.Problem where a person can do something.
func (p *Provider) Finish(ctx context.Context, b Back) (who Person, next, again string, err error) {
	f, err := p.open(b.Cookie)
	if err != nil || subtle.ConstantTimeCompare([]byte(f.State), []byte(b.State)) != 1 {
		return who, "", "", core.NewProblem(core.ErrUnauthorized, "oidc/late", "This sign-in was begun elsewhere or too long ago; begin it again.")
	}

	if b.Admit != nil {
		if err := b.Admit(); err != nil {
			return who, f.Next, f.Again, err
		}
	}

	if b.Error != "" || b.Code == "" {
		return who, f.Next, f.Again, core.NewProblem(core.ErrUnauthorized, "oidc/declined", p.cfg.Name+" did not sign you in ("+word(b.Error)+").")
	}

	config, provider, err := p.config(ctx, b.Redirect)
	if err != nil {
		return who, f.Next, f.Again, err
	}

	who, err = p.exchange(ctx, config, provider, &f, b.Code)

	return who, f.Next, f.Again, err
}

// exchange trades the code for the provider's word on who it is, and checks it.
func (p *Provider) exchange(ctx context.Context, config *oauth2.Config, provider *gooidc.Provider, f *flow, code string) (who Person, err error) {
	ctx = gooidc.ClientContext(ctx, p.own)

	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return who, p.unproven(err)
	}

	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return who, p.unproven(errors.New("the answer has no ID token"))
	}

	verifier := provider.VerifierContext(ctx, &gooidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Now})

	proof, err := verifier.Verify(ctx, raw)
	if err != nil {
		return who, p.unproven(err)
	}

	if subtle.ConstantTimeCompare([]byte(proof.Nonce), []byte(f.Nonce)) != 1 {
		return who, p.unproven(errors.New("the ID token is the answer to another question"))
	}

	claims := map[string]any{}
	if err := proof.Claims(&claims); err != nil {
		return who, p.unproven(err)
	}

	if who, err = p.person(proof, claims); err != nil {
		return who, err
	}

	// By the provider's own clock, too, in which token and sign-in were written: ours may be behind.
	if f.Again != "" && (who.At.IsZero() || p.cfg.Now().Sub(who.At) > FreshLife || proof.IssuedAt.Sub(who.At).Abs() > FreshLife) {
		return who, core.NewProblem(core.ErrRefused, "oidc/not-fresh", p.cfg.Name+" does not say that you signed in just now, so this does not count as proof. Sign out there, and try again.")
	}

	return who, nil
}

// unproven hides from whoever asks what went wrong between us and the provider but for
// its kind; the cause is in the error for the log.
func (p *Provider) unproven(cause error) error {
	problem := core.NewProblem(core.ErrUnauthorized, "oidc/unproven", p.cfg.Name+" could not prove who you are; the appliance's log says why.")

	return blame(problem, cause)
}

// blame is problem, with what caused it for the log. Of what the provider says in it, which
// may be a whole page, it keeps the beginning: anybody can ask it for another one.
func blame(problem *core.Problem, cause error) error {
	return fmt.Errorf("%w (%w)", problem, told{cause, word(cause.Error())})
}

// told is an error in few words.
type told struct {
	error

	words string
}

func (t told) Error() string { return t.words }

// Unwrap is what it is about.
func (t told) Unwrap() error { return t.error }

// config is how the provider is talked to, which it is asked for the first time, and once
// more after it did not answer.
func (p *Provider) config(ctx context.Context, redirect string) (*oauth2.Config, *gooidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	down := core.NewProblem(core.ErrConflict, "oidc/down", p.cfg.Name+" does not answer as it should. Try again later, or sign in with a password.")

	if p.found == nil {
		if since := p.cfg.Now().Sub(p.tried); since >= 0 && since < pause {
			return nil, nil, down // nobody waits for what was not there a moment ago
		}

		// What is found outlives this call; the client bounds every request.
		found, err := gooidc.NewProvider(gooidc.ClientContext(context.WithoutCancel(ctx), p.own), p.cfg.Issuer)
		if err != nil {
			p.tried = p.cfg.Now()

			return nil, nil, blame(down, err)
		}

		p.found = found
	}

	secret := ""

	if p.cfg.Secret != nil {
		var err error
		if secret, err = p.cfg.Secret(); err != nil {
			return nil, nil, fmt.Errorf("%w (%w)", core.NewProblem(core.ErrConflict, "oidc/down", "The secret for "+p.cfg.Name+" cannot be read; the appliance's log says why."), err)
		}
	}

	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: secret, Endpoint: p.found.Endpoint(), RedirectURL: redirect,
		Scopes: append([]string{gooidc.ScopeOpenID}, p.cfg.Scopes...),
	}, p.found, nil
}

// person reads who it is, and which role they are given.
func (p *Provider) person(proof *gooidc.IDToken, claims map[string]any) (who Person, err error) {
	text := func(key string) string { s, _ := claims[key].(string); return s } //nolint:errcheck // empty where it is none

	who = Person{Issuer: proof.Issuer, Subject: proof.Subject}

	mail := strings.ToLower(text("email"))
	if sure, _ := claims["email_verified"].(bool); !sure { //nolint:errcheck // likewise
		mail = "" // anybody may have claimed it
	}

	for _, name := range []string{mail, text("preferred_username"), text("name"), proof.Subject} {
		if name = word(name); name != "" {
			who.Name = name

			break
		}
	}

	if at, ok := claims["auth_time"].(float64); ok && at > 0 {
		who.At = time.Unix(int64(at), 0)
	}

	groups := words(claims[p.cfg.Groups])

	for _, given := range []struct {
		role route.Role
		to   []string
	}{{route.Administrator, p.cfg.Admins}, {route.Operator, p.cfg.Operators}, {route.Viewer, p.cfg.Viewers}} {
		if slices.ContainsFunc(given.to, func(entry string) bool { return fits(entry, mail, groups) }) {
			who.Role = given.role

			return who, nil
		}
	}

	return who, core.NewProblem(core.ErrRefused, "oidc/not-invited",
		"You are "+who.Name+" at "+p.cfg.Name+", who may not use this appliance. An administrator adds your address or one of your groups to its configuration.")
}

// fits reports whether an entry means somebody with the address mail in groups.
func fits(entry, mail string, groups []string) bool {
	if strings.Contains(entry, "@") {
		entry = strings.ToLower(entry)

		return mail != "" && (entry == mail || strings.HasPrefix(entry, "@") && strings.HasSuffix(mail, entry) && strings.Count(mail, "@") == 1)
	}

	return entry != "" && slices.Contains(groups, entry)
}

// words are those of a claim that may be one or a list.
func words(claim any) (list []string) {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case []any:
		for _, one := range claim {
			if s, ok := one.(string); ok {
				list = append(list, s)
			}
		}
	}

	return list
}

// word is a text of the provider's on one line, without what steers a terminal.
func word(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
			return -1
		}

		return r
	}, strings.ToValidUTF8(s, "")))

	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}

	return s
}

// close seals f so that the browser can carry it: nobody reads or changes it.
func (p *Provider) close(f *flow) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encoding a sign-in: %w", err)
	}

	nonce := make([]byte, p.seal.NonceSize())
	if _, err := io.ReadFull(p.cfg.Rand, nonce); err != nil {
		return "", fmt.Errorf("drawing a nonce: %w", err)
	}

	return base64.RawURLEncoding.EncodeToString(p.seal.Seal(nonce, nonce, plain, nil)), nil
}

var errFlow = errors.New("no sign-in is under way")

func (p *Provider) open(cookie string) (f flow, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(sealed) < p.seal.NonceSize() {
		return f, errFlow
	}

	plain, err := p.seal.Open(nil, sealed[:p.seal.NonceSize()], sealed[p.seal.NonceSize():], nil)
	if err != nil {
		return f, errFlow
	}

	if err := json.Unmarshal(plain, &f); err != nil || f.State == "" {
		return flow{}, errFlow
	}

	if age := p.cfg.Now().Sub(f.Begun); age < 0 || age > FlowLife {
		return flow{}, errFlow
	}

	return f, nil
}
