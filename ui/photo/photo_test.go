package photo_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"vetting/core"
	"vetting/ui/photo"
)

// secret stands wherever a phone writes what is nobody's business.
const secret = "52.5200N 13.4050E"

func picture() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range 30 {
		img.Set(i, i, color.RGBA{R: uint8(i * 8), G: 255, A: 255}) //nolint:gosec // it fits
	}

	return img
}

// part is a segment of a JPEG.
func part(mark byte, body string) []byte {
	out := binary.BigEndian.AppendUint16([]byte{0xff, mark}, uint16(len(body)+2)) //nolint:gosec // it is short

	return append(out, body...)
}

// exif says how the picture is to be turned, and where it was taken.
func exif(order binary.AppendByteOrder, turn uint16) string {
	b := []byte("MM\x00*")
	if order.String() == "LittleEndian" {
		b = []byte("II*\x00")
	}

	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = append(order.AppendUint16(order.AppendUint16(b, 0x0110), 2), "\x00\x00\x00\x00MODL"...)
	b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x0112), 3), 1)
	b = append(order.AppendUint16(b, turn), 0, 0)

	return "Exif\x00\x00" + string(b) + secret
}

// fromPhone is a JPEG as phones make it: with Exif, XMP, a comment, and a second picture
// behind its end.
func fromPhone(t testing.TB, order binary.AppendByteOrder, turn uint16) []byte {
	t.Helper()

	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, picture(), nil); err != nil {
		t.Fatal(err)
	}

	out := append([]byte{0xff, 0xd8}, part(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")...)
	out = append(out, part(0xe1, exif(order, turn))...)
	out = append(out, part(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+secret)...)
	out = append(out, part(0xe2, "MPF\x00"+secret)...)
	out = append(out, part(0xfe, "<script>"+secret)...)
	out = append(out, plain.Bytes()[2:]...)

	return append(out, secret...)
}

func chunk(kind, body string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body))) //nolint:gosec // it is short
	out = append(append(out, kind...), body...)

	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func pngWith(t testing.TB, more ...[]byte) []byte {
	t.Helper()

	var plain bytes.Buffer
	if err := png.Encode(&plain, picture()); err != nil {
		t.Fatal(err)
	}

	const header = 8 + 25
	out := bytes.Clone(plain.Bytes()[:header])

	for _, m := range more {
		out = append(out, m...)
	}

	return append(append(out, plain.Bytes()[header:]...), secret...)
}

func riff(chunks ...string) []byte {
	body := "WEBP" + strings.Join(chunks, "")

	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...) //nolint:gosec // it is short
}

func webpChunk(kind, body string) string {
	out := string(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))) + body //nolint:gosec // it is short
	if len(body)%2 != 0 {
		out += "\x00"
	}

	return out
}

const (
	lossless = "\x2f\x27\x40\x07\x00rest" // 40 by 30
	lossy    = "\x00\x00\x00\x9d\x01\x2a\x28\x00\x1e\x00rest"
	wide     = "\x3c\x00\x00\x00\x27\x00\x00\x1d\x00\x00"
)

func TestWhereAndWithWhatAPhotoWasTakenIsLeftOut(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		data []byte
		kind string
	}{
		"JPEG of a phone":      {fromPhone(t, binary.BigEndian, 6), "image/jpeg"},
		"JPEG of another":      {fromPhone(t, binary.LittleEndian, 1), "image/jpeg"},
		"PNG":                  {pngWith(t, chunk("tEXt", "Comment\x00"+secret), chunk("eXIf", secret), chunk("iTXt", secret), chunk("gAMA", "\x00\x00\xb1\x8f")), "image/png"},
		"WebP, extended":       {riff(webpChunk("VP8X", wide), webpChunk("ICCP", secret), webpChunk("VP8L", lossless), webpChunk("EXIF", secret), webpChunk("XMP ", secret)), "image/webp"},
		"WebP, lossless":       {riff(webpChunk("VP8L", lossless)), "image/webp"},
		"WebP, lossy and more": {append(riff(webpChunk("VP8 ", lossy), webpChunk("junk", secret)), secret...), "image/webp"},
	} {
		made, err := photo.Clean(c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		if made.Type != c.kind || made.Width != 40 || made.Height != 30 {
			t.Errorf("%s: %s, %d by %d", name, made.Type, made.Width, made.Height)
		}

		for _, word := range []string{secret, "MODL", "script", "Exif\x00\x00II"} {
			if bytes.Contains(made.Data, []byte(word)) {
				t.Errorf("%s still has %q", name, word)
			}
		}

		if again, err := photo.Clean(made.Data); err != nil || !bytes.Equal(again.Data, made.Data) {
			t.Errorf("%s: what was made is changed when it is made again: %v", name, err)
		}

		if c.kind == "image/webp" {
			continue
		}

		if img, _, err := image.Decode(bytes.NewReader(made.Data)); err != nil || img.Bounds().Dx() != 40 {
			t.Errorf("%s can be read no more: %v", name, err)
		}
	}
}

// A phone that is held upright writes the picture lying, and that it is to be turned.
func TestAPhotoIsStillTurned(t *testing.T) {
	t.Parallel()

	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		for turn, want := range map[uint16]bool{1: false, 3: true, 6: true, 8: true, 9: false, 0: false} {
			made, err := photo.Clean(fromPhone(t, order, turn))
			if err != nil {
				t.Fatal(err)
			}

			says := string(binary.BigEndian.AppendUint16([]byte("\x01\x12\x00\x03\x00\x00\x00\x01"), turn))
			if got := bytes.Contains(made.Data, []byte(says)); got != want {
				t.Errorf("%s, turn %d: said %v", order, turn, got)
			}
		}
	}
}

func TestWhatIsNoPhotoIsRefused(t *testing.T) {
	t.Parallel()

	good := fromPhone(t, binary.BigEndian, 6)
	broken := pngWith(t)
	broken[40] ^= 1

	huge := binary.BigEndian.AppendUint32(nil, 100000)
	huge = append(binary.BigEndian.AppendUint32(huge, 100000), 8, 6, 0, 0, 0)

	for name, data := range map[string][]byte{
		"nothing":                  {},
		"a page":                   []byte("<html><script>alert(1)</script>"),
		"SVG":                      []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`),
		"GIF":                      []byte("GIF89a\x01\x00\x01\x00"),
		"PDF":                      []byte("%PDF-1.7"),
		"HEIC":                     []byte("\x00\x00\x00\x18ftypheic"),
		"half a JPEG":              good[:len(good)/3],
		"only the start of a JPEG": {0xff, 0xd8, 0xff},
		"a JPEG without a picture": append([]byte{0xff, 0xd8}, 0xff, 0xd9),
		"a JPEG that is a page":    append([]byte{0xff, 0xd8, 0xff, 0xe0}, "<html><script>alert(1)</script>"...),
		"a frame of nothing":       append(append([]byte{0xff, 0xd8}, part(0xc0, "\x08\x00\x00\x00\x00\x03")...), append(part(0xda, "x"), 0xff, 0xd9)...),
		"a length of one":          {0xff, 0xd8, 0xff, 0xe0, 0, 1, 0xff, 0xd9},
		"a PNG with an error":      broken,
		"half a PNG":               pngWith(t)[:60],
		"a giant PNG":              append(append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", string(huge))...), append(chunk("IDAT", "x"), chunk("IEND", "")...)...),
		"a PNG of its own kind":    pngWith(t, chunk("EVIL", "x")),
		"a PNG with two headers":   pngWith(t, chunk("IHDR", strings.Repeat("\x00", 13))),
		"a WebP that moves":        riff(webpChunk("VP8X", wide), webpChunk("ANIM", "x"), webpChunk("VP8L", lossless)),
		"a WebP of two sizes":      riff(webpChunk("VP8X", strings.Replace(wide, "\x27", "\x01", 1)), webpChunk("VP8L", lossless)),
		"a WebP without a picture": riff(webpChunk("VP8X", wide)),
		"a WebP with two":          riff(webpChunk("VP8L", lossless), webpChunk("VP8L", lossless)),
		"a WebP that lies":         append([]byte("RIFF\xff\xff\xff\x7fWEBP"), lossless...),
		"a chunk that lies":        riff("VP8L\xff\xff\xff\xff" + lossless),
		"too much":                 append(bytes.Clone(good), make([]byte, photo.MaxBytes)...),
	} {
		var p *core.Problem
		if made, err := photo.Clean(data); !errors.As(err, &p) || !errors.Is(err, core.ErrInvalid) || p.Code != "note/photo" || made.Data != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(fromPhone(f, binary.BigEndian, 6))
	f.Add(pngWith(f, chunk("tEXt", secret)))
	f.Add(riff(webpChunk("VP8X", wide), webpChunk("ALPH", "x"), webpChunk("VP8 ", lossy), webpChunk("EXIF", secret)))
	f.Fuzz(func(t *testing.T, data []byte) {
		made, err := photo.Clean(data)
		if err != nil {
			return
		}

		again, err := photo.Clean(made.Data)
		if err != nil || !bytes.Equal(again.Data, made.Data) || again.Width != made.Width || again.Type != made.Type {
			t.Errorf("made %d bytes of %d, and %d of these: %v", len(made.Data), len(data), len(again.Data), err)
		}

		if len(made.Data) > len(data)+64 {
			t.Errorf("%d bytes became %d", len(data), len(made.Data))
		}
	})
}
