package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238, and the only hash that all authenticators know; HMAC does not rest on collisions
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
)

// The second factor: time-based one-time passwords (RFC 6238) with the parameters that
// every authenticator takes, SHA-1, six digits, 30 seconds.
const (
	totpStep     = 30 * time.Second
	totpDigits   = 1_000_000
	totpSkew     = 1 // steps that a phone's clock may be off, either way (RFC 6238, section 5.2)
	totpSecret   = 20
	spareCodes   = 10 // recovery codes
	spareLength  = 10 // bytes of one: 80 bits
	enrolLife    = 15 * time.Minute
	ticketLife   = 5 * time.Minute // from the password to the code
	ticketTries  = 5               // codes that may be tried with one password
	mostTickets  = 256
	mostUsed     = 32 // steps that are remembered
	maxCodeBytes = 64
)

// totp is the second factor of a user. The secret that the phone has is made of the
// appliance's own and of the nonce, and kept nowhere: neither the ledger nor a backup
// of it makes codes.
type totp struct {
	Nonce   []byte    `json:"nonce"`
	Step    int64     `json:"step,omitempty"`  // the last that was used: none is used twice
	Used    []int64   `json:"used,omitempty"`  // the newest of those before it
	Spare   []string  `json:"spare,omitempty"` // SHA-256 of the recovery codes that are left
	Since   time.Time `json:"since,omitzero"`  // zero: not confirmed yet
	Expires time.Time `json:"expires,omitzero"`
}

func (t *totp) on() bool { return t != nil && !t.Since.IsZero() }

// NeedCode is the answer to a password that is right, of somebody who has a second
// factor. It is a core.ErrUnauthorized.
type NeedCode struct{ Ticket string } // stands for the password for a while

// Error says it in a sentence.
func (e *NeedCode) Error() string {
	return "Type the code that your authenticator shows, or a recovery code."
}

// Unwrap makes it a failure to sign in.
func (e *NeedCode) Unwrap() error { return core.ErrUnauthorized }

// passwordTicket stands for a password that was right. Kept in memory only.
type passwordTicket struct {
	name  string
	until time.Duration // by Config.Uptime
	tries int
}

// Enrolment is a second factor that is about to be set up.
type Enrolment struct {
	Secret string // base32, as people type it where they cannot scan
	URI    string // otpauth://totp/…, for the QR code
}

// totpKey makes the secret of a user's second factor.
func (b *Book) totpKey(name string, nonce []byte) []byte {
	mac := hmac.New(sha256.New, b.factor)
	for _, part := range [][]byte{[]byte("vetting totp"), []byte(name), nonce} {
		_, _ = mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) // #nosec G115 -- parts are short; a hash takes all
		_, _ = mac.Write(part)
	}

	return mac.Sum(nil)[:totpSecret]
}

// code is the one-time password of a step (RFC 4226, section 5.3).
func code(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step))) // #nosec G115 -- times before 1970 are refused
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf

	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%totpDigits)
}

// stepOf finds the step whose code was typed, near now and after the last that was
// used; -1: none. A last one that lies ahead comes from a clock that was ahead, and must
// not lock anybody out until then: those that are remembered as used are refused alone.
func stepOf(key []byte, typed string, now time.Time, last int64, used ...int64) int64 {
	middle, found := now.Unix()/int64(totpStep/time.Second), int64(-1)
	ahead := last > middle+totpSkew

	for step := max(0, middle-totpSkew); step <= middle+totpSkew; step++ {
		if subtle.ConstantTimeCompare([]byte(code(key, step)), []byte(typed)) == 1 && (step > last || ahead && !slices.Contains(used, step)) {
			found = step
		}
	}

	return found
}

// typedCode takes out what people put between digits.
func typedCode(s string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s[:min(len(s), maxCodeBytes)]))
}

func errCode() error {
	return core.NewProblem(core.ErrUnauthorized, "account/wrong-code",
		"The code is wrong, or was used already. Wait for the next one; if none is taken, compare the clocks of phone and appliance.")
}

// useCode uses up a code of the user's second factor, or a recovery code, in txn.
// spare says that it was a recovery code.
func (b *Book) useCode(u *user, typed string) (spare bool, err error) {
	typed = typedCode(typed)

	if len(typed) == 6 {
		kept := b.lastStep(u.Name)

		step := stepOf(b.totpKey(u.Name, u.TOTP.Nonce), typed, b.now(), max(u.TOTP.Step, kept), append([]int64{kept, u.TOTP.Step}, u.TOTP.Used...)...)
		if step < 0 {
			return false, errCode()
		}

		if u.TOTP.Step > 0 {
			u.TOTP.Used = append([]int64{u.TOTP.Step}, u.TOTP.Used[:min(len(u.TOTP.Used), mostUsed-1)]...)
		}

		u.TOTP.Step = step

		return false, nil
	}

	at := slices.Index(u.TOTP.Spare, digest(typed))
	if at < 0 || typed == "" {
		return false, errCode()
	}

	u.TOTP.Spare = slices.Delete(u.TOTP.Spare, at, at+1)

	return true, nil
}

// lastStep is the last step that was used while the ledger could not be written.
func (b *Book) lastStep(name string) int64 {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	return b.pulses.steps[name]
}

// claimStep uses a step up that the ledger cannot take; false: somebody else just did.
func (b *Book) claimStep(name string, step int64) bool {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	fresh := step != b.pulses.steps[name] // that it is a new one was looked at a moment ago
	b.pulses.steps[name] = step

	return fresh
}

// passwordTicket notes that the password of name was right, and returns what stands
// for it.
func (b *Book) passwordTicket(name string) (string, error) {
	secret, err := b.secret()
	if err != nil {
		return "", err
	}

	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	if len(b.pulses.tickets) >= mostTickets {
		clear(b.pulses.tickets) // whoever holds one types the password again
	}

	b.pulses.tickets[digest(secret)] = passwordTicket{name: name, until: b.uptime() + ticketLife}

	return secret, nil
}

// tryTicket counts a try with a ticket and names whose it is.
func (b *Book) tryTicket(secret string) (name string, ok bool) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	key := digest(secret)

	t, known := b.pulses.tickets[key]
	if !known || b.uptime() >= t.until || t.tries >= ticketTries {
		delete(b.pulses.tickets, key)

		return "", false
	}

	t.tries++
	b.pulses.tickets[key] = t

	return t.name, true
}

func (b *Book) dropTicket(secret string) {
	b.pulses.mu.Lock()
	defer b.pulses.mu.Unlock()

	delete(b.pulses.tickets, digest(secret))
}

// LoginCode ends a login that NeedCode has interrupted: it checks the code of the
// second factor, or a recovery code, and opens a session. *TooSoon when there were too
// many tries, of this name from anywhere or from this network.
func (b *Book) LoginCode(ctx context.Context, ticket, typed string, addr netip.Addr) (cookie string, err error) {
	name, ok := b.tryTicket(ticket)
	if !ok {
		return "", core.NewProblem(core.ErrUnauthorized, "account/code-late", "Type name and password again: too many codes were tried, or it was too long ago.")
	}

	keys := []string{"code " + name, network(addr)}
	if wait := b.throttle.Try(b.even(), keys...); wait > 0 {
		return "", &TooSoon{Wait: wait}
	}

	if cookie, err = b.secret(); err != nil {
		return "", err
	}

	// What is wrong is known before anything is written: a full disk refuses unread.
	step, spare, err := b.tryCode(ctx, name, typed)
	if err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) (err error) {
		step, spare, err = b.takeCode(txn, name, typed, cookie, addr)

		return err
	})

	switch {
	case errors.Is(err, core.ErrFull) && !spare: // a full disk must not lock people out
		if !b.claimStep(name, step) {
			return "", errCode()
		}

		b.keepSpare(digest(cookie), session{User: name, CreatedAt: b.now().UTC(), SeenAt: b.now().UTC()})
	case err != nil:
		return "", fmt.Errorf("checking a code: %w", err)
	}

	b.dropTicket(ticket)
	b.throttle.Forgive(keys...)
	b.begin(digest(cookie))

	return cookie, nil
}

// factorOf reads a user who has a second factor.
func factorOf(r core.Reader, name string) (u user, err error) {
	err = r.Get(core.TableUser, name, &u)
	if isMissing(err) || err == nil && !u.TOTP.on() {
		err = errCode() // they were removed, or it was turned off, this very moment
	}

	return u, err
}

// tryCode checks a code and writes nothing.
func (b *Book) tryCode(ctx context.Context, name, typed string) (step int64, spare bool, err error) {
	err = b.ledger.View(ctx, func(r core.Reader) error {
		u, err := factorOf(r, name)
		if err != nil {
			return err
		}

		spare, err = b.useCode(&u, typed)
		step = u.TOTP.Step

		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("checking a code: %w", err)
	}

	return step, spare, nil
}

// takeCode uses a code up and opens a session, in one write.
func (b *Book) takeCode(txn core.Txn, name, typed, cookie string, addr netip.Addr) (step int64, spare bool, err error) {
	u, err := factorOf(txn, name)
	if err != nil {
		return 0, false, err
	}

	if spare, err = b.useCode(&u, typed); err != nil {
		return 0, false, err
	}

	if err := txn.Put(core.TableUser, name, u); err != nil {
		return 0, spare, err
	}

	how := " and a code"
	if spare {
		how = fmt.Sprintf(" and a recovery code, %d are left", len(u.TOTP.Spare))
	}

	return u.TOTP.Step, spare, b.signIn(txn, name, cookie, addr, how)
}

// prove uses up a code of the second factor that u has, or a recovery code, for a change of
// it: whoever has come by an open session and the password has neither. Without a second
// factor there is nothing to prove.
func (b *Book) prove(u *user, typed string) error {
	if !u.TOTP.on() {
		return nil
	}

	if _, err := b.useCode(u, typed); err != nil {
		return core.NewProblem(core.ErrInvalid, "account/wrong-code",
			"Type the code that the authenticator shows now, or a recovery code; this one is wrong, or was used already.")
	}

	return nil
}

// tooSoon bounds tries of codes of name.
func (b *Book) tooSoon(name string) error {
	if wait := b.throttle.Try(b.even(), "code "+name); wait > 0 {
		return &TooSoon{Wait: wait}
	}

	return nil
}

// BeginTOTP draws a second factor for name. It counts once ConfirmTOTP has seen a code
// of it; the one that counts now stays until then, and typed is a code of it or a recovery
// code. *TooSoon when there were too many tries.
func (b *Book) BeginTOTP(ctx context.Context, name, issuer, typed string) (e Enrolment, err error) {
	if err := b.tooSoon(name); err != nil {
		return e, err
	}

	nonce := make([]byte, totpSecret)
	if _, err := io.ReadFull(b.rand, nonce); err != nil {
		return e, fmt.Errorf("drawing a second factor: %w", err)
	}

	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if u.outside() {
			return errOutside(u.Name)
		}

		if err := b.prove(u, typed); err != nil {
			return err
		}

		u.NextTOTP = &totp{Nonce: nonce, Expires: b.now().UTC().Add(enrolLife)}
		e = b.enrolment(u, issuer)

		return txn.Put(core.TableUser, u.Name, u)
	})
	if err != nil {
		return e, fmt.Errorf("setting up a second factor: %w", err)
	}

	b.throttle.Forgive("code " + name)

	return e, nil
}

// PendingTOTP returns the second factor that name is about to confirm; ok is false when
// there is none.
func (b *Book) PendingTOTP(ctx context.Context, name, issuer string) (e Enrolment, ok bool, err error) {
	var u user

	err = b.ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableUser, name, &u) })
	if isMissing(err) {
		return e, false, nil
	}

	if err != nil {
		return e, false, fmt.Errorf("reading user: %w", err)
	}

	if u.NextTOTP == nil || !b.now().Before(u.NextTOTP.Expires) {
		return e, false, nil
	}

	return b.enrolment(&u, issuer), true, nil
}

func (b *Book) enrolment(u *user, issuer string) Enrolment {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b.totpKey(u.Name, u.NextTOTP.Nonce))
	query := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}

	return Enrolment{
		Secret: secret,
		URI:    "otpauth://totp/" + url.PathEscape(issuer+":"+u.Name) + "?" + strings.ReplaceAll(query.Encode(), "+", "%20"),
	}
}

// ConfirmTOTP turns the second factor on that BeginTOTP has drawn, with a code of it,
// and returns the recovery codes, which are shown only now. *TooSoon when there were
// too many tries.
func (b *Book) ConfirmTOTP(ctx context.Context, name, typed string) (spare []string, err error) {
	if wait := b.throttle.Try(b.even(), "code "+name); wait > 0 {
		return nil, &TooSoon{Wait: wait}
	}

	spare, hashes, err := b.drawSpare()
	if err != nil {
		return nil, err
	}

	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if u.NextTOTP == nil || !b.now().Before(u.NextTOTP.Expires) {
			return core.NewProblem(core.ErrConflict, "account/no-enrolment", "No second factor is being set up, or it took too long; begin again.")
		}

		// A code that has just let somebody in cannot turn another factor on: they are of other secrets.
		step := stepOf(b.totpKey(u.Name, u.NextTOTP.Nonce), typedCode(typed), b.now(), -1)
		if step < 0 {
			return core.NewProblem(core.ErrInvalid, "account/wrong-code",
				"The code is wrong. Type the one that the authenticator shows now; if none is taken, compare the clocks of phone and appliance.")
		}

		u.TOTP, u.NextTOTP = &totp{Nonce: u.NextTOTP.Nonce, Step: step, Spare: hashes, Since: b.now().UTC()}, nil

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/totp-on", u.Name, "user.totp", "user/" + u.Name, "turned the second factor of " + u.Name + " on"})
	})
	if err != nil {
		return nil, fmt.Errorf("turning a second factor on: %w", err)
	}

	b.throttle.Forgive("code " + name)

	return spare, nil
}

// drawSpare draws recovery codes, and what is kept of them.
func (b *Book) drawSpare() (codes, hashes []string, err error) {
	for range spareCodes {
		raw := make([]byte, spareLength)
		if _, err := io.ReadFull(b.rand, raw); err != nil {
			return nil, nil, fmt.Errorf("drawing recovery codes: %w", err)
		}

		word := base32.StdEncoding.EncodeToString(raw)
		codes = append(codes, word[:4]+"-"+word[4:8]+"-"+word[8:12]+"-"+word[12:])
		hashes = append(hashes, digest(word))
	}

	return codes, hashes, nil
}

// NewSpareCodes makes the recovery codes of name anew; those before are void. typed is a
// code of the second factor, or one of them. *TooSoon when there were too many tries.
func (b *Book) NewSpareCodes(ctx context.Context, name, typed string) (spare []string, err error) {
	if err := b.tooSoon(name); err != nil {
		return nil, err
	}

	spare, hashes, err := b.drawSpare()
	if err != nil {
		return nil, err
	}

	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if !u.TOTP.on() {
			return core.NewProblem(core.ErrConflict, "account/no-totp", u.Name+" has no second factor.")
		}

		if err := b.prove(u, typed); err != nil {
			return err
		}

		u.TOTP.Spare = hashes

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/totp-codes", u.Name, "user.recovery-codes", "user/" + u.Name, "made the recovery codes of " + u.Name + " anew"})
	})
	if err != nil {
		return nil, fmt.Errorf("making recovery codes: %w", err)
	}

	b.throttle.Forgive("code " + name)

	return spare, nil
}

// ResetTOTP takes the second factor of somebody else away, by who; their password alone
// opens then. ErrConflict when they have none.
// Their own they drop with a code: DropTOTP.
func (b *Book) ResetTOTP(ctx context.Context, who, name string) (changed route.User, err error) {
	if who == name {
		return changed, core.NewProblem(core.ErrConflict, "account/own-totp", "Turn your own second factor off in the settings, with a code; without one, have another administrator take it away, or run vetting admin reset-totp on the appliance.")
	}

	return b.takeTOTP(ctx, who, name, func(*user) error { return nil })
}

// DropTOTP takes the second factor of name away for themselves, with a code of it or a
// recovery code. ErrConflict when they have none, *TooSoon when there were too many tries.
func (b *Book) DropTOTP(ctx context.Context, name, typed string) error {
	if err := b.tooSoon(name); err != nil {
		return err
	}

	_, err := b.takeTOTP(ctx, name, name, func(u *user) error { return b.prove(u, typed) })
	if err == nil {
		b.throttle.Forgive("code " + name)
	}

	return err
}

func (b *Book) takeTOTP(ctx context.Context, who, name string, check func(*user) error) (changed route.User, err error) {
	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if !u.TOTP.on() {
			return core.NewProblem(core.ErrConflict, "account/no-totp", u.Name+" has no second factor.")
		}

		if err := check(u); err != nil {
			return err
		}

		u.TOTP, u.NextTOTP = nil, nil
		changed = u.shown()

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/totp-off", who, "user.totp-reset", "user/" + u.Name, "took the second factor of " + u.Name + " away"})
	})
	if err != nil {
		return changed, fmt.Errorf("taking a second factor away: %w", err)
	}

	return changed, nil
}
