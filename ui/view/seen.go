package view

import (
	"strings"

	"vetting/core"
	"vetting/ui/text"
)

// Seen tells the state of a record that a form was drawn from: another state is another
// text. A form sends it back, so that nobody puts what they typed in the place of what
// somebody else has saved meanwhile and they never saw.
type Seen struct{ Edit, Spec, Overrides string }

// SeenSetting stands before a key in the name of the field that tells which value of it a
// form was drawn with.
const SeenSetting = "seen."

// SeenHost tells the state of what the forms on the page of a host change, each for itself.
func SeenHost(h *core.Host) Seen {
	return Seen{
		Edit: core.Digest([]any{
			h.Name, h.Rack, h.AssetTag, h.Class, h.Tags, h.Aliases, h.Notes, h.Loader, h.Home, h.BootURL, h.Power.Method, h.Power.Then,
			h.Power.BMC.Address, h.Power.BMC.User, h.Power.BMC.System, h.Power.BMC.Pin, h.Power.BMC.Insecure, h.Power.Webhook.URL,
		}),
		Spec: core.Digest(h.SpecYAML), Overrides: core.Digest(h.Overrides),
	}
}

// SeenClass tells the state of a model class; of the zero class, that there is none.
func SeenClass(class *core.Class) string {
	return core.Digest([]any{class.Name, class.SpecYAML, class.Notes, class.Golden, class.Overrides})
}

// SeenBaseline tells the state of the firmware baseline.
func SeenBaseline(b *core.FirmwareBaseline) string { return core.Digest(b.Text) }

// HostDifferences says what is on record of a host where it is not what was typed.
func HostDifferences(typed, stored *core.Host) string {
	return unlike(hostWords(typed), hostWords(stored))
}

// ClassDifferences is HostDifferences for a model class, but for its spec.
func ClassDifferences(typed, stored *core.Class) string {
	words := func(c *core.Class) []fact {
		return lines([]fact{{"golden host", string(c.Golden)}, {"differs from the profile", overrideWords(&c.Overrides)}, {"notes", c.Notes}})
	}

	return unlike(words(typed), words(stored))
}

// unlike names the facts that are others than they were.
func unlike(was, is []fact) string {
	var words []string

	for i, f := range is {
		if f.word == was[i].word {
			continue
		}

		if f.word == "" {
			f.word = "nothing"
		}

		words = append(words, f.label+": "+f.word)
	}

	return strings.Join(words, "; ")
}

// lines has each fact on one line.
func lines(list []fact) []fact {
	for i := range list {
		list[i].word = text.Line(list[i].word)
	}

	return list
}

// hostWords writes out what the form of a host asks for.
func hostWords(h *core.Host) []fact {
	power := &h.Power

	ways := make([]string, 0, len(power.Then))
	for _, way := range power.Then {
		ways = append(ways, powerSentence(way))
	}

	trust := ""
	if power.BMC.Insecure {
		trust = "any certificate"
	}

	return lines([]fact{
		{"name", h.Name},
		{"rack", h.Rack},
		{"asset tag", h.AssetTag},
		{"model class", h.Class},
		{"tags", tagWords(h)},
		{"other ports", aliases(h)},
		{"switched on", powerSentence(powerOf(h))},
		{"boot program", loaderSentence(h.Loader)},
		{"to its own disk", homeSentence(h.Home)},
		{"once it has passed, boots from", h.BootURL},
		{"other ways", strings.Join(ways, ", ")},
		{"controller's address", power.BMC.Address},
		{"controller's user", power.BMC.User},
		{"system", power.BMC.System},
		{"SHA-256 of its certificate", power.BMC.Pin},
		{"trusted", trust},
		{"webhook's address", power.Webhook.URL},
		{"notes", h.Notes},
	})
}
