package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is what a configuration key may say.
type setting struct {
	like string // for people: "one of new, used"
	fits func(value string) bool
}

func oneOf(words ...string) setting {
	return setting{"one of " + strings.Join(words, ", "), func(value string) bool { return slices.Contains(words, value) }}
}

// duration is a time like 90s or 12h. It is that of a real host: the profile's
// scale shortens it.
func duration(most time.Duration) setting {
	return setting{fmt.Sprintf("a duration like 90s, 30m or 12h, at most %v", most), func(value string) bool {
		d, err := time.ParseDuration(value)

		return err == nil && d >= 0 && d <= most
	}}
}

func whole(least, most int) setting {
	return setting{fmt.Sprintf("a whole number from %d to %d", least, most), func(value string) bool {
		n, err := strconv.Atoi(value)

		return err == nil && n >= least && n <= most && strconv.Itoa(n) == value
	}}
}
