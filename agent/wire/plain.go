package wire

import (
	"bytes"
	"strconv"
	"strings"
)

// ReadPlain reads a batch into b, in the one form that encoding/json gives it: the fields in
// their order, no escapes, no white space but a line end behind it. Of anything else it returns false, with
// the batch in no certain state, and encoding/json must decide. What it accepts,
// encoding/json reads as the same.
//
// Batches are nearly all that an appliance with many machines hears, and
// encoding/json took more of its time than keeping the samples did.
func ReadPlain(body []byte, b *SensorBatch) bool {
	*b = SensorBatch{}
	in := plain{rest: bytes.TrimSuffix(body, []byte("\n"))}

	seq, err := strconv.ParseUint(in.digits(`{"seq":`), 10, 64)
	if err != nil || !in.skip(`,"samples":[`) {
		return false
	}

	b.Seq = seq

	most := min(bytes.Count(in.rest, []byte("},{"))+1, MaxSamples)
	b.Samples = make([]Sample, 0, most)
	values := make([]float64, most) // one piece of memory instead of one for each

	if in.skip("]}") {
		return len(in.rest) == 0
	}

	for {
		if len(b.Samples) == most || !in.sample(&b.Samples, &values[len(b.Samples)]) {
			return false
		}

		if !in.skip(",") {
			return in.skip("]}") && len(in.rest) == 0
		}
	}
}

// plain reads JSON of a known shape from its front.
type plain struct{ rest []byte }

// skip takes a literal away, or reports that something else follows.
func (p *plain) skip(literal string) bool {
	if len(p.rest) < len(literal) || string(p.rest[:len(literal)]) != literal {
		return false
	}

	p.rest = p.rest[len(literal):]

	return true
}

// digits returns the whole number after a literal; empty when there is none.
func (p *plain) digits(literal string) string {
	if !p.skip(literal) {
		return ""
	}

	n := countDigits(p.rest)
	if n > 1 && p.rest[0] == '0' {
		return ""
	}

	number := p.rest[:n]
	p.rest = p.rest[n:]

	return string(number)
}

func countDigits(text []byte) (n int) {
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}

	return n
}

// text returns the string that comes next, if it is printable ASCII without escapes.
func (p *plain) text() (text []byte, ok bool) {
	if !p.skip(`"`) {
		return nil, false
	}

	for i, c := range p.rest {
		switch {
		case c == '"':
			text, p.rest = p.rest[:i], p.rest[i+1:]

			return text, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}

	return nil, false
}

// sample reads one sample and puts it behind the others. What repeats from one to the
// next shares its memory.
func (p *plain) sample(samples *[]Sample, value *float64) bool {
	var s, before Sample

	if n := len(*samples); n > 0 {
		before = (*samples)[n-1]
	}

	moment, ok := p.named(`{"time":`)
	if !ok || s.Time.parse(moment) != nil {
		return false
	}

	key, ok := p.named(`,"key":`)
	if !ok || !p.skip(`,"value":`) {
		return false
	}

	s.Key = string(key)

	if !p.skip("null") {
		if *value, ok = p.number(); !ok {
			return false
		}

		s.Value = value
	}

	if !p.optional(`,"unit":`, func(unit []byte) bool {
		s.Unit = again(before.Unit, unit)

		return true
	}) {
		return false
	}

	if !p.optional(`,"stage":`, func(stage []byte) bool {
		s.Stage = StageName(again(string(before.Stage), stage))

		return s.Stage == before.Stage || s.Stage.UnmarshalText(stage) == nil
	}) || !p.skip("}") {
		return false
	}

	*samples = append(*samples, s)

	return true
}

// named returns the string after a literal.
func (p *plain) named(literal string) (text []byte, ok bool) {
	if !p.skip(literal) {
		return nil, false
	}

	return p.text()
}

// optional gives the string after a literal to take, where the literal follows.
func (p *plain) optional(literal string, take func([]byte) bool) bool {
	if !p.skip(literal) {
		return true
	}

	text, ok := p.text()

	return ok && take(text)
}

// again is text as a string: the one before, where it is the same.
func again(before string, text []byte) string {
	if before == string(text) {
		return before
	}

	return string(text)
}

// number reads a number as RFC 8259 §6 writes it.
func (p *plain) number() (value float64, ok bool) {
	n := numberLength(p.rest)
	if n == 0 {
		return 0, false
	}

	value, err := strconv.ParseFloat(string(p.rest[:n]), 64)
	p.rest = p.rest[n:]

	return value, err == nil
}

// numberLength returns how long the number at the front of text is; 0 when there is
// none.
func numberLength(text []byte) int {
	at := 0
	if at < len(text) && text[at] == '-' {
		at++
	}

	whole := countDigits(text[at:])
	if whole == 0 || whole > 1 && text[at] == '0' {
		return 0
	}

	at += whole

	if at < len(text) && text[at] == '.' {
		fraction := countDigits(text[at+1:])
		if fraction == 0 {
			return 0
		}

		at += 1 + fraction
	}

	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		at++
		if at < len(text) && strings.IndexByte("+-", text[at]) >= 0 {
			at++
		}

		exponent := countDigits(text[at:])
		if exponent == 0 {
			return 0
		}

		at += exponent
	}

	return at
}
