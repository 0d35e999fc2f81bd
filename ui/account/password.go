package account

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"vetting/core"
)

// The cost of a password: OWASP's argon2id profile with 46 MiB and one pass. At
// most two are hashed at once, so that logins cannot eat the appliance.
const (
	argonMemory  = 46 * 1024 // KiB
	argonTime    = 1
	argonThreads = 1
	argonLength  = 32
	saltLength   = 16
	hashesAtOnce = 2
)

// The lengths of a password (ASVS 6.2.1, 6.2.9), the longest to bound the work.
const (
	MinPassword = 12
	MaxPassword = 512
)

// CheckPassword says what is wrong with a new password of user name.
func CheckPassword(name, password string) error {
	bad := func(sentence string) error {
		return core.NewProblem(core.ErrInvalid, "account/bad-password", sentence)
	}

	lower := strings.ToLower(password)

	switch {
	case !utf8.ValidString(password):
		return bad("The password is not valid UTF-8 text.")
	case utf8.RuneCountInString(password) < MinPassword:
		return bad(fmt.Sprintf("The password needs at least %d characters.", MinPassword))
	case len(password) > MaxPassword:
		return bad(fmt.Sprintf("The password may have at most %d bytes.", MaxPassword))
	case common(lower):
		return bad("This password is on the list of the most used ones; choose another.")
	case name != "" && strings.ReplaceAll(lower, strings.ToLower(name), "") == "":
		return bad("The password may not be the name repeated.")
	case distinct(lower) < 4:
		return bad("The password needs at least four different characters.")
	default:
		return nil
	}
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}

	return len(seen)
}

// common reports whether the lower-case password is one of those tried first.
// Only those of twelve characters and more are listed: shorter ones are refused
// anyway.
func common(lower string) bool {
	const list = ` 123456789012 1234567890123 12345678901234 123456789012345 1234567890123456 1234567890ab 123456789abc 1234567890qw
 0123456789ab 012345678901 0987654321098 abcdefghijkl abcdefghijklm abcdefghijklmnop abcd1234efgh abc123456789 a1b2c3d4e5f6
 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1qaz2wsx3edc 1qaz2wsx3edc4rfv qazwsxedcrfv qwertyuiop12 qwertyuiop123 qwertyuiopas qwertyuiopasdf
 qwertyuiop[] qwerty123456 qwerty12345678 qwerty1234567 asdfghjkl123 zxcvbnm12345 zaq12wsxcde3 password1234 password12345
 password123456 password12345678 passwordpassword password1password mypassword123 passw0rd1234 passw0rdpassw0rd p@ssword1234
 p@ssw0rd1234 p@ssw0rd123! password123! password1234! administrator administrator1 administrator123 adminadminadmin admin1234567
 admin12345678 admin123456789 adminpassword changeme1234 changemenow1 changemeplease letmeinletmein letmein12345 welcome12345
 welcome123456 welcome1welcome iloveyou1234 iloveyouiloveyou monkey123456 dragon123456 sunshine1234 princess1234 football1234
 baseball1234 superman1234 trustno1trustno1 starwars1234 whatever1234 computer1234 internet1234 samsung12345 michael12345
 correcthorsebatterystaple correct horse battery staple vettingvetting vetting12345 vetting123456 rootrootroot root12345678
 toortoortoor secretsecret secret123456 supersecret1 supersecret123 testtesttest test12345678 testing12345 hunter2hunter2
 summer2024summer summer202420 winter2024winter spring2025spring london123456 charlie12345 homelab12345 raspberrypi1 ubuntuubuntu
 proxmoxproxmox `

	return strings.Contains(strings.ReplaceAll(list, "\n", " "), " "+lower+" ")
}

// hash makes the PHC form of password. It waits for a place, or for ctx to end.
func (b *Book) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(b.rand, salt); err != nil {
		return "", fmt.Errorf("drawing a salt: %w", err)
	}

	sum, err := b.derive(ctx, password, salt)
	if err != nil {
		return "", err
	}

	enc := base64.RawStdEncoding

	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		enc.EncodeToString(salt), enc.EncodeToString(sum)), nil
}

// matches compares password with a PHC form in constant time. An empty form, of
// a user who does not exist, costs the same and never matches.
func (b *Book) matches(ctx context.Context, password, phc string) (bool, error) {
	salt, want := parsePHC(phc)

	got, err := b.derive(ctx, password, salt)
	if err != nil {
		return false, err
	}

	return subtle.ConstantTimeCompare(got, want) == 1 && phc != "", nil
}

func (b *Book) derive(ctx context.Context, password string, salt []byte) ([]byte, error) {
	select {
	case b.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}

	defer func() { <-b.hashing }()

	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonLength), nil
}

// parsePHC returns salt and sum of a form that hash made; of any other, a salt
// and a sum that nothing matches.
func parsePHC(phc string) (salt, sum []byte) {
	parts := strings.Split(phc, "$")
	if len(parts) == 6 {
		var errSalt, errSum error

		salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
		sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])

		if errSalt == nil && errSum == nil && len(sum) == argonLength {
			return salt, sum
		}
	}

	return make([]byte, saltLength), nil
}
