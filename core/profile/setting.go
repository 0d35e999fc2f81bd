package profile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is what a configuration key may say.
type setting struct {
	like string // for people: "one of new, used"
	fits func(value string) bool
	// words are all that it may say; nil: they cannot be listed.
	words []string
}

// Setting is a configuration key that profiles may have.
type Setting struct {
	Key   string
	Like  string   // what it may say, for people: "a duration like 90s, 30m or 12h"
	Words []string // all that it may say; nil: they cannot be listed
}

// Settings lists the configuration keys that there are, by their names.
func Settings() []Setting {
	known := settings()
	list := make([]Setting, 0, len(known))

	for _, key := range slices.Sorted(maps.Keys(known)) {
		list = append(list, Setting{Key: key, Like: known[key].like, Words: known[key].words})
	}

	return list
}

func oneOf(words ...string) setting {
	return setting{"one of " + strings.Join(words, ", "), func(value string) bool { return slices.Contains(words, value) }, words}
}

// duration is a time like 90s or 12h. It is that of a real host: the profile's
// scale shortens it.
func duration(most time.Duration) setting {
	return setting{fmt.Sprintf("a duration like 90s, 30m or 12h, at most %v", most), func(value string) bool {
		d, err := time.ParseDuration(value)

		return err == nil && d >= 0 && d <= most
	}, nil}
}

func whole(least, most int) setting {
	return setting{fmt.Sprintf("a whole number from %d to %d", least, most), func(value string) bool {
		n, err := strconv.Atoi(value)

		return err == nil && n >= least && n <= most && strconv.Itoa(n) == value
	}, nil}
}
