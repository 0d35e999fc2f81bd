package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// check refuses a host that cannot be recorded.
func (e *Engine) check(host *core.Host) error {
	host.Name = strings.TrimSpace(host.Name)

	for _, err := range []error{
		checkWords(host), checkTags(host.Tags), checkMACs(host), checkPower(&host.Power), checkLoader(host.Loader), checkHome(host.Home), checkBootURL(host.BootURL), profile.CheckOverride(host.Overrides),
	} {
		if err != nil {
			return err
		}
	}

	return e.checkSpec(host.SpecYAML)
}

func badHost(format string, args ...any) error {
	return core.NewProblem(core.ErrInvalid, problem.HostInvalid, fmt.Sprintf(format, args...))
}

func checkWords(host *core.Host) error {
	switch {
	case host.Name == "" || !isWord(host.Name):
		return badHost("A host needs a name of 1 to %d printable letters.", maxWord)
	case len(host.Notes) > maxNote || host.Notes != plain(host.Notes):
		return badHost("The notes must be printable text of %d bytes at most.", maxNote)
	case len(host.Aliases) > maxAliases:
		return badHost("A host can have %d further MAC addresses at most, not %d.", maxAliases, len(host.Aliases))
	}

	for _, field := range [][2]string{{"asset tag", host.AssetTag}, {"rack", host.Rack}, {"model class", host.Class}} {
		if !isWord(field[1]) {
			return badHost("The %s must be printable text of %d bytes at most, on one line.", field[0], maxWord)
		}
	}

	return nil
}

// isWord reports whether a text fits on one line; empty does.
func isWord(s string) bool {
	return len(s) <= maxWord && s == plain(s) && !strings.Contains(s, "\n") && s == strings.TrimSpace(s)
}

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return badHost("A host can have %d tags at most, not %d.", maxTags, len(tags))
	}

	for i, tag := range tags {
		blank := strings.ContainsFunc(tag, func(r rune) bool { return unicode.IsSpace(r) || r == ',' })
		if tag == "" || len(tag) > maxTag || blank || tag != plain(tag) {
			return badHost("The tag %.40q must have 1 to %d printable letters, without spaces and commas.", tag, maxTag)
		}

		if slices.Contains(tags[:i], tag) {
			return badHost("The tag %q is there twice.", tag)
		}
	}

	return nil
}

func checkMACs(host *core.Host) error {
	seen := map[core.MAC]bool{}

	for _, mac := range macsOf(host) {
		if parsed, err := core.ParseMAC(string(mac)); err != nil || parsed != mac {
			return core.NewProblem(core.ErrInvalid, problem.HostBadMAC,
				fmt.Sprintf("%.40q is not a MAC address; write it like 52:54:00:12:34:56.", string(mac)))
		}

		if seen[mac] {
			return badHost("The address %s is listed twice.", mac)
		}

		seen[mac] = true
	}

	return nil
}

// checkPower refuses ways that do not exist, and those that lack what they need.
func checkPower(p *core.Power) error {
	bad := func(format string, args ...any) error {
		return core.NewProblem(core.ErrInvalid, problem.HostBadPower, fmt.Sprintf(format, args...))
	}

	ways := p.Ways()

	for i, way := range ways {
		switch {
		case !slices.Contains(core.PowerMethods(), way):
			return bad("There is no power method %.40q; choose among %s.", string(way), methods())
		case slices.Contains(ways[:i], way):
			return bad("The power method %q is listed twice.", way)
		case (way == core.PowerIPMI || way == core.PowerRedfish) && (p.BMC.Address == "" || p.BMC.User == ""):
			return bad("The power method %q needs the address of the management controller and a user.", way)
		case way == core.PowerWebhook && p.Webhook.URL == "":
			return bad("The power method %q needs an address to call.", way)
		}
	}

	switch {
	case p.BMC.Address != "" && !isEndpoint(p.BMC.Address):
		return bad("%.80q is not an address of a management controller; write 10.0.0.5, bmc-04.example or either with :port.", p.BMC.Address)
	case !isWord(p.BMC.User) || !isWord(p.BMC.System):
		return bad("The controller's user and system must be printable text of %d bytes at most.", maxWord)
	case p.BMC.Pin != "" && !isPin(p.BMC.Pin):
		return bad("The controller's pin must be the 64 hexadecimal digits of a SHA-256.")
	case p.Webhook.URL != "" && !isHook(p.Webhook.URL):
		return bad("%.80q is not an address to call; write https://….", p.Webhook.URL)
	default:
		return nil
	}
}

// checkPower has the room that switches hosts look at a host's settings, with the
// secrets that are kept of it.
func (c *change) checkPower(host *core.Host) error {
	var secret core.HostSecret

	err := c.Get(core.TableHostSecret, string(host.MAC), &secret)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	return c.engine.checkPower(host, secret)
}

func (e *Engine) checkPower(host *core.Host, secret core.HostSecret) error {
	if e.CheckPower == nil {
		return nil
	}

	if err := e.CheckPower(*host, secret); err != nil {
		return core.NewProblem(core.ErrInvalid, problem.HostBadPower,
			"The power settings cannot work: "+strings.ReplaceAll(err.Error(), "\n", "; ")+".")
	}

	return nil
}

func methods() string {
	words := make([]string, 0, len(core.PowerMethods()))
	for _, m := range core.PowerMethods() {
		words = append(words, string(m))
	}

	return strings.Join(words, ", ")
}

// isEndpoint reads an IP address or a name, with or without a port, and a scheme
// as Redfish has it.
func isEndpoint(s string) bool {
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		s = rest
	} else if rest, ok := strings.CutPrefix(s, "http://"); ok {
		s = rest
	}

	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}

	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}

	name, port, has := strings.Cut(s, ":")
	if n, err := strconv.ParseUint(port, 10, 16); has && (err != nil || n == 0) {
		return false
	}

	return name != "" && len(name) <= 253 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func isPin(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

func isHook(s string) bool {
	u, err := url.Parse(s)

	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(s) <= 2048
}

func (e *Engine) checkSpec(yaml string) error {
	if len(yaml) > maxSpec {
		return badHost("The spec has %d bytes; %d at most.", len(yaml), maxSpec)
	}

	if yaml == "" {
		return nil
	}

	_, err := e.ParseSpec(yaml)

	return err
}
