package settings

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
)

// passwordEncoder encrypts the passwords of dynamic configurations as Kafka stores them in
// ZooKeeper: a list of name:value pairs with everything except the secret that is needed to decrypt
// them. A nil passwordEncoder means that no secret is configured.
type passwordEncoder struct {
	secret     string
	keyFactory string // such as PBKDF2WithHmacSHA512
	cipher     string // AES/CBC/PKCS5Padding or AES/GCM/NoPadding
	keyBits    int
	iterations int
}

func passwordEncoderOf(c *Config) *passwordEncoder {
	if passwordEncoderSecret.IsNull(c) {
		return nil
	}
	e := &passwordEncoder{
		secret:     string(passwordEncoderSecret.OrZero(c)),
		keyFactory: passwordEncoderKeyfactoryAlgorithm.OrZero(c),
		cipher:     passwordEncoderCipherAlgorithm.Of(c),
		keyBits:    int(passwordEncoderKeyLength.Of(c)),
		iterations: int(passwordEncoderIterations.Of(c)),
	}
	if e.keyFactory == "" {
		e.keyFactory = "PBKDF2WithHmacSHA512"
	}
	return e
}

var errNoSecret = errors.New("Password encoder secret not configured")

const saltBytes = 256

func (e *passwordEncoder) encode(password string) (string, error) {
	if e == nil {
		return "", errNoSecret
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	block, err := e.block(e.keyFactory, e.keyBits, salt, e.iterations)
	if err != nil {
		return "", err
	}
	var encrypted []byte
	var parameters string
	switch e.cipher {
	case cbcCipher:
		iv := make([]byte, aes.BlockSize)
		_, _ = rand.Read(iv)
		padded := pad([]byte(password))
		encrypted = make([]byte, len(padded))
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(encrypted, padded)
		parameters = "initializationVector:" + encode64(iv)
	case gcmCipher:
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return "", err
		}
		nonce := make([]byte, gcm.NonceSize())
		_, _ = rand.Read(nonce)
		encrypted = gcm.Seal(nil, nonce, []byte(password), nil)
		parameters = "authenticationTagSize:128,initializationVector:" + encode64(nonce)
	default:
		return "", fmt.Errorf("Cannot find any provider supporting %s", e.cipher)
	}
	return fmt.Sprintf("%s,keyLength:%d,salt:%s,keyFactoryAlgorithm:%s,cipherAlgorithm:%s,iterations:%d,passwordLength:%d,encryptedPassword:%s",
		parameters, e.keyBits, encode64(salt), e.keyFactory, e.cipher, e.iterations, javatext.Length(password), encode64(encrypted)), nil
}

const (
	cbcCipher = "AES/CBC/PKCS5Padding"
	gcmCipher = "AES/GCM/NoPadding"
)

var errUndecodable = errors.New("Password could not be decoded")

func (e *passwordEncoder) decode(text string) (string, error) {
	if e == nil {
		return "", errNoSecret
	}
	params := map[string]string{}
	for _, pair := range splitList(text) {
		name, value, _ := strings.Cut(pair, ":")
		params[name] = value
	}
	keyBits, err1 := strconv.Atoi(params["keyLength"])
	iterations, err2 := strconv.Atoi(params["iterations"])
	length, err3 := strconv.Atoi(params["passwordLength"])
	salt, err4 := decode64(params["salt"])
	iv, err5 := decode64(params["initializationVector"])
	encrypted, err6 := decode64(params["encryptedPassword"])
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return "", err
	}
	block, err := e.block(params["keyFactoryAlgorithm"], keyBits, salt, iterations)
	if err != nil {
		return "", err
	}
	clear, err := decrypt(params["cipherAlgorithm"], block, iv, encrypted)
	if err != nil || javatext.Length(string(clear)) != length {
		return "", errUndecodable
	}
	return string(clear), nil
}

func decrypt(algorithm string, block cipher.Block, iv, encrypted []byte) ([]byte, error) {
	switch {
	case algorithm == cbcCipher && len(iv) == aes.BlockSize && len(encrypted) > 0 && len(encrypted)%aes.BlockSize == 0:
		clear := make([]byte, len(encrypted))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(clear, encrypted)
		return unpad(clear)
	case algorithm == gcmCipher && len(iv) == 12:
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		return gcm.Open(nil, iv, encrypted, nil)
	}
	return nil, errUndecodable
}

// block derives the key and returns the block cipher for it.
func (e *passwordEncoder) block(keyFactory string, keyBits int, salt []byte, iterations int) (cipher.Block, error) {
	digests := map[string]func() hash.Hash{
		"PBKDF2WithHmacSHA512": sha512.New, "PBKDF2WithHmacSHA256": sha256.New, "PBKDF2WithHmacSHA1": sha1.New,
	}
	digest := digests[keyFactory]
	if digest == nil {
		return nil, fmt.Errorf("%s SecretKeyFactory not available", keyFactory)
	}
	key, err := pbkdf2.Key(digest, e.secret, salt, iterations, keyBits/8)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// pad appends bytes up to a whole block; each has the number of added bytes as its value (PKCS #5).
func pad(b []byte) []byte {
	n := aes.BlockSize - len(b)%aes.BlockSize
	return append(b, bytes.Repeat([]byte{byte(n)}, n)...)
}

func unpad(b []byte) ([]byte, error) {
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize || !bytes.HasSuffix(b, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errUndecodable
	}
	return b[:len(b)-n], nil
}

func encode64(b []byte) string          { return base64.StdEncoding.EncodeToString(b) }
func decode64(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }
