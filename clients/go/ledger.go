// Command ledger checks a proof of gridcross' ledger (c2sp.org/tlog-proof@v1) with the note and tree of
// golang.org/x/mod/sumdb, and nothing of the exchange.
//
//	ledger PROOF LOG_KEY [WITNESS_KEY ...]
//
// Keys are NAME+ID+KEY. Every witness named must have cosigned. It ends with 4 where the proof does not
// hold.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const header = "c2sp.org/tlog-proof@v1"

// witness verifies cosignatures, which x/mod does not know: type 4, the time before the signature.
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.id }

func (w witness) Verify(text, material []byte) bool {
	if len(material) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(material)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	return ed25519.Verify(w.key, []byte(signed), material[8:])
}

func newWitness(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("a key is NAME+ID+KEY")
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != 4 {
		return nil, errors.New("not the key of a witness")
	}
	hash := sha256.Sum256([]byte(parts[0] + "\n" + string(material)))
	if fmt.Sprintf("%x", hash[:4]) != parts[1] {
		return nil, errors.New("the id is not that of the key")
	}
	return witness{parts[0], binary.BigEndian.Uint32(hash[:4]), material[1:]}, nil
}

func verify(proof, logKey string, witnessKeys []string) (string, error) {
	head, signed, found := strings.Cut(proof, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != header {
		return "", errors.New("not a proof file")
	}
	leafText, hasLeaf := cutPrefix(lines[1], "extra ")
	indexText, hasIndex := cutPrefix(lines[2], "index ")
	if !hasLeaf || !hasIndex {
		return "", errors.New("not a proof file with a leaf in it")
	}
	leaf, err := base64.StdEncoding.Strict().DecodeString(leafText)
	if err != nil {
		return "", err
	}
	index, err := strconv.ParseInt(indexText, 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != indexText {
		return "", errors.New("the index is no number")
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		path = append(path, hash)
	}

	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return "", err
	}
	verifiers := []note.Verifier{verifier}
	for _, key := range witnessKeys {
		witness, err := newWitness(key)
		if err != nil {
			return "", err
		}
		verifiers = append(verifiers, witness)
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifiers...))
	if err != nil {
		return "", err
	}
	for _, verifier := range verifiers {
		if !signedBy(opened, verifier) {
			return "", fmt.Errorf("%s did not sign the checkpoint", verifier.Name())
		}
	}
	body := strings.Split(opened.Text, "\n")
	if len(body) < 4 || body[0] != verifier.Name() {
		return "", errors.New("the checkpoint is malformed or of another log")
	}
	size, err := strconv.ParseInt(body[1], 10, 64)
	if err != nil {
		return "", err
	}
	root, err := tlog.ParseHash(body[2])
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(path, size, root, index, tlog.RecordHash(leaf)); err != nil {
		return "", err
	}
	return fmt.Sprintf("leaf %d of %d, %d bytes, root %x", index, size, len(leaf), root[:]), nil
}

func signedBy(opened *note.Note, verifier note.Verifier) bool {
	for _, signature := range opened.Sigs {
		if signature.Name == verifier.Name() && signature.Hash == verifier.KeyHash() {
			return true
		}
	}
	return false
}

func cutPrefix(text, prefix string) (string, bool) {
	return strings.TrimPrefix(text, prefix), strings.HasPrefix(text, prefix)
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: ledger PROOF LOG_KEY [WITNESS_KEY ...]")
		os.Exit(2)
	}
	proof, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	said, err := verify(string(proof), os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(4)
	}
	fmt.Println(said)
}
