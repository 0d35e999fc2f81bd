package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"vetting/core"
	"vetting/ui/notify"
)

// NotifierConfig is one place to tell what happens. Which keys it needs depends on
// its type.
type NotifierConfig struct {
	Type     string `yaml:"type"`
	Attempts int    `yaml:"attempts"`

	URL    Secret `yaml:"url"`
	Topic  string `yaml:"topic"`
	Token  Secret `yaml:"token"`
	Secret Secret `yaml:"secret"`

	Server   string   `yaml:"server"`
	TLS      string   `yaml:"tls"`
	User     string   `yaml:"user"`
	Password Secret   `yaml:"password"`
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
}

// RouteConfig sends what matches it to some of the notifiers.
type RouteConfig struct {
	Events     []core.Topic    `yaml:"events"`
	Severities []core.Severity `yaml:"severities"`
	To         []string        `yaml:"to"`
}

// String writes the route for people.
func (r RouteConfig) String() string {
	return fmt.Sprintf("%v %v to %v", r.Events, r.Severities, r.To)
}

// validateRoutes looks whether routes lead somewhere. The rest takes the secrets,
// which are read when they are needed.
func (c *Config) validateRoutes() error {
	var faults []error

	for i, r := range c.Routes {
		for _, to := range r.To {
			if _, ok := c.Notifiers[to]; !ok {
				faults = append(faults, fmt.Errorf("routes[%d].to: there is no notifier %q", i, to))
			}
		}
	}

	return errors.Join(faults...)
}

// notifications reads the secrets of the notifiers and returns who is told of
// what. console is how people reach the console, for links.
func (c *Config) notifications(console string) (notify.Config, error) {
	config := notify.Config{Console: console}

	var faults []error

	for _, name := range slices.Sorted(maps.Keys(c.Notifiers)) {
		n := c.Notifiers[name]
		target := notify.Target{
			Name: name, Kind: notify.Kind(n.Type), Attempts: n.Attempts, Topic: n.Topic,
			Server: n.Server, TLS: n.TLS, User: n.User, From: n.From, To: n.To,
		}

		for key, one := range map[string]struct {
			from Secret
			to   *notify.Secret
		}{"url": {n.URL, &target.URL}, "token": {n.Token, &target.Token}, "secret": {n.Secret, &target.Sign}, "password": {n.Password, &target.Password}} {
			text, err := one.from.Read()
			if err != nil {
				faults = append(faults, fmt.Errorf("notifiers.%s.%s: %w", name, key, err))
			}

			*one.to = notify.Secret(text)
		}

		config.Targets = append(config.Targets, target)
	}

	for _, r := range c.Routes {
		config.Routes = append(config.Routes, notify.Route{Topics: r.Events, Severities: r.Severities, To: r.To})
	}

	return config, errors.Join(faults...)
}
