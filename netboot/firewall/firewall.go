// Package firewall reads the rules of a machine, as nft -j list ruleset writes them, and
// says which of them keep away what the boot services listen for. It works on values alone.
package firewall

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Door is where packets must come in.
type Door struct {
	Protocol string // "udp" or "tcp"
	Port     int
	Six      bool // by IPv6
}

// String names the door for people.
func (d Door) String() string {
	if d.Six {
		return fmt.Sprintf("%s %d of IPv6", d.Protocol, d.Port)
	}

	return fmt.Sprintf("%s %d", d.Protocol, d.Port)
}

// Drop is a door that is shut.
type Drop struct {
	Door Door
	By   string // chain and rule
}

// Judge lists the doors that the rules shut for new packets from the card named iface. A
// rule counts as shutting only where it is sure to match, and as opening where it may:
// what is told is no false alarm, and not everything is told.
func Judge(ruleset []byte, iface string, doors []Door) ([]Drop, error) {
	var all struct {
		Items []item `json:"nftables"`
	}

	if err := json.Unmarshal(ruleset, &all); err != nil {
		return nil, fmt.Errorf("reading the rules of nft: %w", err)
	}

	w := newWalls(all.Items)

	var shut []Drop

	for _, door := range doors {
		for _, base := range w.bases {
			p := packet{door: door, iface: iface}
			if by := w.enter(&p, base); by != "" {
				shut = append(shut, Drop{door, by})

				break
			}
		}
	}

	return shut, nil
}

// item is one of nft's list; one of its fields is set.
type item struct {
	Chain *chain `json:"chain"`
	Rule  *rule  `json:"rule"`
	Set   *set   `json:"set"`
	Map   *set   `json:"map"`
}

type place struct {
	Family string `json:"family"`
	Table  string `json:"table"`
}

type chain struct {
	place
	Name   string `json:"name"`
	Type   string `json:"type"`
	Hook   string `json:"hook"`
	Policy string `json:"policy"`
}

type rule struct {
	place
	Chain  string                       `json:"chain"`
	Handle int                          `json:"handle"`
	Expr   []map[string]json.RawMessage `json:"expr"`
}

type set struct {
	place
	Name string            `json:"name"`
	Elem []json.RawMessage `json:"elem"`
}

// walls are the rules by chain.
type walls struct {
	bases []*chain
	rules map[string][]*rule
	sets  map[string][]json.RawMessage
}

func newWalls(items []item) *walls {
	w := &walls{rules: map[string][]*rule{}, sets: map[string][]json.RawMessage{}}

	for i := range items {
		switch it := &items[i]; {
		case it.Chain != nil && it.Chain.Type == "filter" && (it.Chain.Hook == "input" || it.Chain.Hook == "prerouting"):
			w.bases = append(w.bases, it.Chain)
		case it.Rule != nil:
			key := it.Rule.key(it.Rule.Chain)
			w.rules[key] = append(w.rules[key], it.Rule)
		case it.Set != nil:
			w.sets[it.Set.key(it.Set.Name)] = it.Set.Elem
		}
	}

	// What a packet passes first is told first.
	slices.SortStableFunc(w.bases, func(a, b *chain) int { return strings.Compare(b.Hook, a.Hook) })

	return w
}

func (p place) key(name string) string { return p.Family + " " + p.Table + " " + name }

// packet is the first of a machine at a door.
type packet struct {
	door  Door
	iface string
	steps int // rules looked at
}

// sure says how certain something is.
type sure int

const (
	no sure = iota
	maybe
	yes
)

// verdict is what becomes of a packet.
type verdict int

const (
	goesOn verdict = iota
	accepted
	dropped
)

// mostSteps and mostDepth bound what rules that lead in circles cost.
const (
	mostSteps = 100_000
	mostDepth = 16 // NFT_JUMP_STACK_SIZE of the kernel
)

// enter returns what drops the packet in a base chain; "" for nothing.
func (w *walls) enter(p *packet, base *chain) (by string) {
	if base.Family == "ip" && p.door.Six || base.Family == "ip6" && !p.door.Six || !slices.Contains([]string{"ip", "ip6", "inet"}, base.Family) {
		return ""
	}

	end, by := w.walk(p, base.place, base.Name, 0)

	switch {
	case end == dropped:
		return by
	case end == goesOn && base.Policy == "drop":
		return fmt.Sprintf("table %s %s, chain %s: its policy is drop, and no rule lets it in", base.Family, base.Table, base.Name)
	default:
		return ""
	}
}

func (w *walls) walk(p *packet, at place, name string, depth int) (end verdict, by string) {
	stays := yes // whether the packet has not left the chain

	for _, r := range w.rules[at.key(name)] {
		if p.steps++; p.steps > mostSteps || depth > mostDepth {
			return accepted, ""
		}

		end, by, leaves := w.apply(p, r, depth)

		switch stays = min(stays, yes-leaves); {
		case end == accepted, end == dropped && stays == yes:
			return end, by
		case stays == no, end == dropped:
			return goesOn, ""
		}
	}

	return goesOn, ""
}

// apply does what a rule says; leaves says whether the packet goes back to the chain before.
func (w *walls) apply(p *packet, r *rule, depth int) (end verdict, by string, leaves sure) {
	matches := yes

	for _, expr := range r.Expr {
		for kind, body := range expr {
			switch kind {
			case "counter", "log", "comment":
				continue
			case "match":
				matches = min(matches, w.match(p, r, body))
			case "jump", "goto":
				if end, by := w.jump(p, r, body, depth); end == accepted || end == dropped && matches == yes {
					return end, by, no
				}

				if kind == "goto" {
					return goesOn, "", matches
				}
			case "return":
				return goesOn, "", matches
			default:
				if end, by := r.verdict(kind, matches); end != goesOn {
					return end, by, no
				}

				matches = min(matches, maybe) // a limit, a match of iptables
			}

			if matches == no {
				return goesOn, "", no
			}
		}
	}

	return goesOn, "", no
}

// verdict is what a rule that matches says by a word.
func (r *rule) verdict(word string, matches sure) (end verdict, by string) {
	switch {
	case word == "accept", word == "vmap": // what a map says is beyond us: it may let in
		return accepted, ""
	case (word == "drop" || word == "reject") && matches == yes:
		return dropped, fmt.Sprintf("table %s %s, chain %s: rule %d (nft -a list chain %s %s %s)",
			r.Family, r.Table, r.Chain, r.Handle, r.Family, r.Table, r.Chain)
	default:
		return goesOn, ""
	}
}

func (w *walls) jump(p *packet, r *rule, body json.RawMessage, depth int) (end verdict, by string) {
	var to struct {
		Target string `json:"target"`
	}

	if json.Unmarshal(body, &to) != nil {
		return accepted, ""
	}

	return w.walk(p, r.place, to.Target, depth+1)
}

// match says whether the packet is what an expression asks for.
func (w *walls) match(p *packet, r *rule, body json.RawMessage) sure {
	var m struct {
		Op   string `json:"op"`
		Left struct {
			Meta    *struct{ Key string }             `json:"meta"`
			Payload *struct{ Protocol, Field string } `json:"payload"`
			CT      *struct{ Key string }             `json:"ct"`
		} `json:"left"`
		Right json.RawMessage `json:"right"`
	}

	if json.Unmarshal(body, &m) != nil {
		return maybe
	}

	var have any

	switch l := m.Left; {
	case l.Meta != nil:
		have = p.meta(l.Meta.Key)
	case l.Payload != nil:
		have = p.payload(l.Payload.Protocol, l.Payload.Field)
	case l.CT != nil && l.CT.Key == "state":
		have = "new"
	}

	if have == nil {
		return maybe
	}

	if have == none {
		return no
	}

	is := w.within(r, have, m.Right)

	switch m.Op {
	case "==", "in":
		return is
	case "!=":
		return yes - is
	default:
		return maybe
	}
}

// none is what a packet of another kind has.
const none = "-"

func (p *packet) meta(key string) any {
	switch key {
	case "iif", "iifname":
		return p.iface
	case "l4proto":
		return p.door.Protocol
	case "nfproto":
		if p.door.Six {
			return "ipv6"
		}

		return "ipv4"
	default:
		return nil
	}
}

func (p *packet) payload(protocol, field string) any {
	switch {
	case protocol == "ip" && p.door.Six, protocol == "ip6" && !p.door.Six,
		(protocol == "udp" || protocol == "tcp") && protocol != p.door.Protocol, strings.HasPrefix(protocol, "icmp"):
		return none
	case field == "dport":
		return float64(p.door.Port)
	case protocol == "ip" && field == "protocol", protocol == "ip6" && field == "nexthdr":
		return p.door.Protocol
	default:
		return nil
	}
}

// within says whether a value is the right side of a match or in it.
func (w *walls) within(r *rule, have any, right json.RawMessage) sure {
	var value any
	if json.Unmarshal(right, &value) != nil {
		return maybe
	}

	return w.holds(r, have, value)
}

func (w *walls) holds(r *rule, have, value any) sure {
	switch v := value.(type) {
	case string:
		if name, isSet := strings.CutPrefix(v, "@"); isSet {
			return w.member(r, have, name)
		}

		if text, ok := have.(string); ok && strings.HasSuffix(v, "*") {
			return certain(strings.HasPrefix(text, strings.TrimSuffix(v, "*")))
		}

		return certain(have == v)
	case float64:
		return certain(have == v)
	case []any:
		return w.any(r, have, v)
	case map[string]any:
		return w.object(r, have, v)
	default:
		return maybe
	}
}

func (w *walls) object(r *rule, have any, v map[string]any) sure {
	if list, ok := v["set"].([]any); ok {
		return w.any(r, have, list)
	}

	if elem, ok := v["elem"].(map[string]any); ok {
		return w.holds(r, have, elem["val"])
	}

	ends, ok := v["range"].([]any)
	if !ok || len(ends) != 2 {
		return maybe
	}

	low, okLow := ends[0].(float64)
	high, okHigh := ends[1].(float64)
	number, okHave := have.(float64)

	if !okLow || !okHigh || !okHave {
		return maybe
	}

	return certain(low <= number && number <= high)
}

func (w *walls) any(r *rule, have any, list []any) sure {
	best := no
	for _, one := range list {
		best = max(best, w.holds(r, have, one))
	}

	return best
}

func (w *walls) member(r *rule, have any, name string) sure {
	list, known := w.sets[r.key(name)]
	if !known {
		return maybe
	}

	best := no

	for _, raw := range list {
		if len(raw) > 0 && raw[0] == '"' && strings.HasPrefix(string(raw), `"@`) {
			return maybe // a set of sets there is not
		}

		best = max(best, w.within(r, have, raw))
	}

	return best
}

func certain(is bool) sure {
	if is {
		return yes
	}

	return no
}
