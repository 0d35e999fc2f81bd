package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"vetting/ui/oidc"
)

// OIDCConfig is a provider of OpenID Connect at which people sign in. Without an issuer
// there is none.
type OIDCConfig struct {
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret Secret   `yaml:"client_secret"`
	Name         string   `yaml:"name"`
	GroupsClaim  string   `yaml:"groups_claim"`
	Scopes       []string `yaml:"scopes"`
	Admins       []string `yaml:"admins"`
	Operators    []string `yaml:"operators"`
	Viewers      []string `yaml:"viewers"`
}

func oidcSettings() []setting {
	return []setting{
		{"oidc.issuer", "", "provider of OpenID Connect at which people may sign in, too, as in https://id.example.org/realms/lab; empty: none", func(c *Config) any { return &c.OIDC.Issuer }},
		{"oidc.client_id", "", "name of this appliance at the provider; its redirect URI there is the console's address with /login/oidc/back", func(c *Config) any { return &c.OIDC.ClientID }},
		{"oidc.client_secret", "", "what the appliance proves itself with at the provider; empty: a public client", func(c *Config) any { return &c.OIDC.ClientSecret }},
		{"oidc.name", "", "what people call the provider, for the button; empty: its host", func(c *Config) any { return &c.OIDC.Name }},
		{"oidc.groups_claim", "", "claim of the ID token that lists groups", func(c *Config) any { return &c.OIDC.GroupsClaim }},
	}
}

// provider is the one at which people sign in; nil: there is none.
func (c *OIDCConfig) provider() (*oidc.Provider, error) {
	if c.Issuer == "" {
		return nil, nil //nolint:nilnil // there need not be one
	}

	return oidc.New(oidc.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, Secret: c.ClientSecret.Read, Name: c.Name, Groups: c.GroupsClaim, Scopes: c.Scopes,
		Admins: c.Admins, Operators: c.Operators, Viewers: c.Viewers, Now: time.Now, Rand: rand.Reader,
	})
}

func (c *OIDCConfig) validate() error {
	if _, err := c.provider(); err != nil {
		return fmt.Errorf("oidc: %w", err)
	}

	return nil
}
