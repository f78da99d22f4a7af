//! The name of the error that a text of strerror(3) describes, in the languages of git's catalogues: a table, and its lookup.
//!
//! git prints the text, not the number. The texts are those of glibc (2.36; Debian's catalogues, package libc-l10n) and, in
//! English, of musl. A text that is in no table stands for no error that we know: it may be anybody's.

use super::charset::Charset;

/// The name of an error that link(2) can give, and its texts: the language, and what strerror(3) returns in it.
type Errno = (&'static str, &'static [(&'static str, &'static str)]);

/// The errors that only a filesystem or the kernel's mounts give. Another user cannot provoke one by exchanging an object.
const FROM_THE_FILESYSTEM: [&str; 4] = ["EXDEV", "EOPNOTSUPP", "ENOSYS", "ENOTSUPP"];

/// The name of the error, such as `EPERM`, whose text is `text`; `None` if it is none of link(2)'s.
#[must_use]
pub(super) fn name(text: &[u8]) -> Option<&'static str> {
    let is_text = |known: &str| {
        let mut charsets = Charset::ALL.iter();
        charsets.any(|charset| charset.strip_prefix(text, known) == Some(b""))
    };
    ERRNOS
        .iter()
        .find(|(_, texts)| texts.iter().any(|(_, known)| is_text(known)))
        .map(|(name, _)| *name)
}

/// Whether the error of this name comes from the filesystem and from nothing else.
#[must_use]
pub fn comes_from_the_filesystem(name: &str) -> bool {
    FROM_THE_FILESYSTEM.contains(&name)
}

/// Linux's own 524 has no name in the C library, which prints its number.
static ERRNOS: [Errno; 14] = [
    (
        "EPERM",
        &[
            ("en", "Operation not permitted"),
            ("bg", "Действието не е позволено"),
            ("ca", "L’operació no és permesa"),
            ("de", "Die Operation ist nicht erlaubt"),
            ("el", "Η λειτουργία δεν επιτρέπεται"),
            ("es", "Operación no permitida"),
            ("fr", "Opération non permise"),
            ("id", "Operasi tidak diijinkan"),
            ("it", "Operazione non permessa"),
            ("ko", "명령을 허용하지 않음"),
            ("pl", "Operacja niedozwolona"),
            ("pt", "Operação não permitida"),
            ("ru", "Операция не позволена"),
            ("sv", "Operationen inte tillåten"),
            ("tr", "İşleme izin verilmedi"),
            ("uk", "Дію заборонено"),
            ("vi", "Thao tác không được phép"),
            ("zh_CN", "不允许的操作"),
            ("zh_TW", "此項操作並不被允許"),
        ],
    ),
    (
        "EXDEV",
        &[
            ("en", "Invalid cross-device link"),
            ("en", "Cross-device link"),
            ("bg", "Неправилна връзка през устройства"),
            ("ca", "No es pot crear un enllaç entre dispositius"),
            ("de", "Ungültiger Link über Gerätegrenzen hinweg"),
            ("el", "Μη έγκυρος σύνδεσμος μεταξύ συσκευών"),
            ("es", "Enlace cruzado entre dispositivos no permitido"),
            ("fr", "Lien physique inter-périphérique invalide"),
            ("id", "Hubungan antar-perangkat tidak valid"),
            ("it", "Collegamento tra dispositivi non valido"),
            ("ko", "부적절한 장치간 연결"),
            ("pl", "Błędne dowiązanie między urządzeniami"),
            ("pt", "Ligação entre dispositivos inválida"),
            ("pt_BR", "Link entre dispositivos inválido"),
            ("ru", "Неверная ссылка между устройствами"),
            ("sv", "Ogiltig länk över skilda enheter"),
            ("tr", "Karşı aygıta bağ geçersiz"),
            ("uk", "Некоректне перехресне посилання на пристрій"),
            ("vi", "Liên kết thiết bị chéo không hợp lệ"),
            ("zh_CN", "无效的跨设备链接"),
            ("zh_TW", "不適用的裝置間連結"),
        ],
    ),
    (
        "EMLINK",
        &[
            ("en", "Too many links"),
            ("bg", "Твърде много връзки"),
            ("ca", "El fitxer té massa enllaços"),
            ("de", "Zu viele Links"),
            ("el", "Υπερβολικά πολλοί σύνδεσμοι"),
            ("es", "Demasiados enlaces"),
            ("fr", "Trop de liens"),
            ("id", "Terlalu banyak sambungan"),
            ("it", "Troppi collegamenti"),
            ("ko", "연결이 너무 많음"),
            ("pl", "Za dużo dowiązań"),
            ("pt", "Demasiadas ligações"),
            ("pt_BR", "Muitos links"),
            ("ru", "Слишком много ссылок"),
            ("sv", "För många länkar"),
            ("tr", "Çok fazla bağ var"),
            ("uk", "Забагато посилань"),
            ("vi", "Quá nhiều liên kết"),
            ("zh_CN", "过多的链接"),
            ("zh_TW", "太多連結"),
        ],
    ),
    (
        "EACCES",
        &[
            ("en", "Permission denied"),
            ("bg", "Отказан достъп"),
            ("ca", "S’ha denegat el permís"),
            ("de", "Keine Berechtigung"),
            ("el", "Άρνηση πρόσβασης"),
            ("es", "Permiso denegado"),
            ("fr", "Permission non accordée"),
            ("id", "Ijin ditolak"),
            ("it", "Permesso negato"),
            ("ko", "허가 거부"),
            ("pl", "Brak dostępu"),
            ("pt", "Permissão recusada"),
            ("pt_BR", "Permissão negada"),
            ("ru", "Отказано в доступе"),
            ("sv", "Åtkomst nekas"),
            ("tr", "Erişim engellendi"),
            ("uk", "Відмовлено у доступі"),
            ("vi", "Không đủ quyền truy cập"),
            ("zh_CN", "权限不够"),
            ("zh_TW", "拒絕不符權限的操作"),
        ],
    ),
    (
        "EOPNOTSUPP",
        &[
            ("en", "Operation not supported"),
            ("en", "Not supported"),
            ("bg", "Неподдържана операция"),
            ("ca", "No es permet l’ús de l’operació"),
            ("de", "Die Operation wird nicht unterstützt"),
            ("el", "Η λειτουργία δεν υποστηρίζεται"),
            ("es", "La operación no está soportada"),
            ("fr", "Opération non supportée"),
            ("id", "Operasi tidak didukung"),
            ("it", "Operazione non supportata"),
            ("ko", "명령을 지원하지 않음"),
            ("pl", "Operacja nie obsługiwana"),
            ("pt", "Operação não suportada"),
            ("pt_BR", "Operação sem suporte"),
            ("ru", "Неподдерживаемая операция"),
            ("sv", "Operationen stöds ej"),
            ("tr", "İşlem desteklenmiyor"),
            ("uk", "Дія не підтримується"),
            ("vi", "Thao tác không được hỗ trợ"),
            ("zh_CN", "不支持的操作"),
            ("zh_TW", "此項操作並不被支援"),
        ],
    ),
    (
        "ENOSYS",
        &[
            ("en", "Function not implemented"),
            ("bg", "Функцията не е реализирана"),
            ("ca", "La funció no està implementada"),
            ("de", "Die angeforderte Funktion ist nicht implementiert"),
            ("el", "Η λειτουργία δεν έχει υλοποιηθεί"),
            ("es", "Función no implementada"),
            ("fr", "Fonction non implantée"),
            ("id", "Fungsi tidak terimplementasi"),
            ("it", "Funzione non implementata"),
            ("ko", "함수를 구현하지 않았습니다"),
            ("pl", "Nie zaimplementowana funkcja"),
            ("pt", "Função não implementada"),
            ("ru", "Функция не реализована"),
            ("sv", "Funktion inte implementerad"),
            ("tr", "İşlev bulunamadı (Bir güncelleme gerekebilir)"),
            ("uk", "Функцію не реалізовано"),
            ("vi", "Hàm chưa có đoạn mã thực hiện"),
            ("zh_CN", "函数未实现"),
            ("zh_TW", "功能沒有實作"),
        ],
    ),
    (
        "EINVAL",
        &[
            ("en", "Invalid argument"),
            ("bg", "Неправилен аргумент"),
            ("ca", "L’argument passat no és vàlid"),
            ("de", "Das Argument ist ungültig"),
            ("el", "Μη έγκυρη παράμετρος"),
            ("es", "Argumento inválido"),
            ("fr", "Argument invalide"),
            ("id", "Argumen tidak valid"),
            ("it", "Argomento non valido"),
            ("ko", "부적절한 인수"),
            ("pl", "Zły argument"),
            ("ru", "Недопустимый аргумент"),
            ("sv", "Ogiltigt argument"),
            ("tr", "Geçersiz argüman"),
            ("uk", "Некоректний аргумент"),
            ("vi", "Đối số không hợp lệ"),
            ("zh_CN", "无效的参数"),
            ("zh_TW", "不適用的引數"),
        ],
    ),
    (
        "EROFS",
        &[
            ("en", "Read-only file system"),
            ("bg", "Файлова система само за четене"),
            ("ca", "El sistema de fitxers és només de lectura"),
            ("de", "Das Dateisystem ist nur lesbar"),
            ("el", "Αναγνώσιμο-μόνο σύστημα αρχείων"),
            ("es", "Sistema de ficheros de sólo lectura"),
            ("fr", "Système de fichiers accessible en lecture seulement"),
            ("id", "Sistem berkas baca-saja"),
            ("it", "File system in sola lettura"),
            ("ko", "읽기전용 파일 시스템"),
            ("pl", "System plików wyłącznie do odczytu"),
            ("pt", "Sistema de ficheiros só de leitura"),
            ("pt_BR", "Sistema de arquivos somente para leitura"),
            ("ru", "Файловая система доступна только для чтения"),
            ("sv", "Skrivskyddat filsystem"),
            ("tr", "Salt-okunur dosya sistemi"),
            ("uk", "Файлова система тільки для зчитування"),
            ("vi", "Hệ thống tập tin chỉ cho đọc"),
            ("zh_CN", "只读文件系统"),
            ("zh_TW", "唯讀的檔案系統"),
        ],
    ),
    (
        "EIO",
        &[
            ("en", "Input/output error"),
            ("en", "I/O error"),
            ("bg", "Входно-изходна грешка"),
            ("ca", "Error d’Entrada/Sortida"),
            ("de", "Eingabe-/Ausgabefehler"),
            ("el", "Σφάλμα εισόδου/εξόδου"),
            ("es", "Error de entrada/salida"),
            ("fr", "Erreur d'entrée/sortie"),
            ("id", "error Masukan/Keluaran"),
            ("it", "Errore di input/output"),
            ("ko", "입력/출력 오류"),
            ("pl", "Błąd wejścia/wyjścia"),
            ("pt", "Erro de entrada/saída"),
            ("ru", "Ошибка ввода/вывода"),
            ("sv", "In/ut-fel"),
            ("tr", "Girdi/Çıktı hatası"),
            ("uk", "Помилка введення-виведення"),
            ("vi", "Lỗi vào/ra"),
            ("zh_CN", "输入/输出错误"),
            ("zh_TW", "輸入/輸出錯誤"),
        ],
    ),
    (
        "ESTALE",
        &[
            ("en", "Stale file handle"),
            ("bg", "Престоял файлов манипулатор"),
            ("ca", "L’indicador del fitxer és obsolet"),
            ("de", "Veraltete Dateizugriffsnummer (file handle)"),
            ("es", "`handle' de fichero en desuso"),
            ("fr", "Panne d'accès au fichier"),
            ("ko", "끊어진 파일 핸들"),
            ("pl", "Nieaktualny uchwyt pliku"),
            ("pt", "Gestão de ficheiro obsoleto"),
            ("pt_BR", "Manipulador de arquivo corrompido"),
            ("ru", "Устаревший дескриптор файла"),
            ("sv", "Förlegat filhandtag"),
            ("tr", "Eski dosya kolu"),
            ("uk", "Застарілий дескриптор файла"),
            ("vi", "Bộ xử lý tập tin chớm hỏng"),
            ("zh_CN", "过旧的文件控柄"),
            ("zh_TW", "過舊的檔案控柄"),
        ],
    ),
    (
        "ENOENT",
        &[
            ("en", "No such file or directory"),
            ("bg", "Няма такъв файл или директория"),
            ("ca", "El fitxer o directori no existeix"),
            ("de", "Datei oder Verzeichnis nicht gefunden"),
            ("el", "Δεν υπάρχει τέτοιο αρχείο ή κατάλογος"),
            ("es", "No existe el fichero o el directorio"),
            ("fr", "Aucun fichier ou dossier de ce type"),
            ("id", "Tidak ada berkas atau direktori seperti itu"),
            ("it", "File o directory non esistente"),
            ("ko", "그런 파일이나 디렉터리가 없습니다"),
            ("pl", "Nie ma takiego pliku ani katalogu"),
            ("pt", "Ficheiro ou pasta inexistente"),
            ("pt_BR", "Arquivo ou diretório inexistente"),
            ("ru", "Нет такого файла или каталога"),
            ("sv", "Filen eller katalogen finns inte"),
            ("tr", "Böyle bir dosya ya da dizin yok"),
            ("uk", "Немає такого файла або каталогу"),
            ("vi", "Không có tập tin hoặc thư mục như vậy"),
            ("zh_CN", "没有那个文件或目录"),
            ("zh_TW", "沒有此一檔案或目錄"),
        ],
    ),
    (
        "EDQUOT",
        &[
            ("en", "Disk quota exceeded"),
            ("en", "Quota exceeded"),
            ("bg", "Надвишена дискова квота"),
            ("ca", "S’ha excedit la quota de disc"),
            (
                "de",
                "Der zugewiesene Plattenplatz (Quota) ist überschritten",
            ),
            ("el", "Ξεπεράστηκε το όριο χρήσης δίσκου"),
            ("es", "Se ha excedido la cuota de disco"),
            ("fr", "Débordement du quota d'espace disque"),
            ("id", "Quota Dis terlampaui"),
            ("it", "Quota disco superata"),
            ("ko", "디스크 할당량이 초과됨"),
            ("pl", "Przekroczony limit dyskowy"),
            ("pt", "Quota do disco excedida"),
            ("pt_BR", "Cota da disco excedida"),
            ("ru", "Превышена дисковая квота"),
            ("sv", "Diskkvot överskriden"),
            ("tr", "Disk kotası aşıldı"),
            ("uk", "Перевищено квоту диска"),
            ("vi", "Vượt quá hạn ngạch đĩa"),
            ("zh_CN", "超出磁盘限额"),
            ("zh_TW", "磁碟配額已滿"),
        ],
    ),
    (
        "ENOSPC",
        &[
            ("en", "No space left on device"),
            ("bg", "Няма свободно място на устройството"),
            ("ca", "No resta espai al dispositiu"),
            ("de", "Auf dem Gerät ist kein Speicherplatz mehr verfügbar"),
            ("el", "Δεν έμεινε καθόλου χώρος στη συσκευή"),
            ("es", "No queda espacio en el dispositivo"),
            ("fr", "Aucun espace disponible sur le périphérique"),
            ("id", "Tidak ruang lagi diperangkat"),
            ("it", "Spazio esaurito sul device"),
            ("ko", "장치에 남은 공간이 없음"),
            ("pl", "Brak miejsca na urządzeniu"),
            ("pt", "Sem espaço livre no dispositivo"),
            ("pt_BR", "Não há espaço disponível no dispositivo"),
            ("ru", "На устройстве не осталось свободного места"),
            ("sv", "Enheten är full"),
            ("tr", "Aygıt üzerinde boş yer yok"),
            ("uk", "Недостатньо місця на пристрої"),
            ("vi", "Không có đủ chỗ trống trên thiết bị"),
            ("zh_CN", "设备上没有空间"),
            ("zh_TW", "裝置上已無多餘空間"),
        ],
    ),
    (
        "ENOTSUPP",
        &[
            ("en", "Unknown error 524"),
            ("bg", "Неизвестна грешка 524"),
            ("ca", "Error desconegut 524"),
            ("de", "Unbekannter Fehler 524"),
            ("el", "Άγνωστο σφάλμα 524"),
            ("es", "Error desconocido 524"),
            ("fr", "Erreur inconnue 524"),
            ("id", "Error tidak dikenal 524"),
            ("it", "Errore sconosciuto 524"),
            ("ko", "알 수 없는 오류524"),
            ("pl", "Nieznany błąd 524"),
            ("pt", "Erro desconhecido 524"),
            ("ru", "Неизвестная ошибка 524"),
            ("sv", "Okänt fel 524"),
            ("tr", "Bilinmeyen hata 524"),
            ("uk", "Невідома помилка 524"),
            ("vi", "Lỗi không rõ 524"),
            ("zh_CN", "未知的错误 524"),
            ("zh_TW", "未知的錯誤 524"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{ERRNOS, comes_from_the_filesystem, name};

    #[test]
    fn text_gives_the_name_in_any_language_and_charset() {
        for (text, expected) in [
            (&b"Operation not permitted"[..], Some("EPERM")),
            (b"Cross-device link", Some("EXDEV")),
            ("Die Operation ist nicht erlaubt".as_bytes(), Some("EPERM")),
            (
                b"Lien physique inter-p\xe9riph\xe9rique invalide",
                Some("EXDEV"),
            ),
            (b"Lien physique inter-p?riph?rique invalide", Some("EXDEV")),
            (b"Unknown error 524", Some("ENOTSUPP")),
            (b"Unknown error 525", None),
            (b"", None),
            (b"secret", None),
            (b"??? 524", None),
        ] {
            assert_eq!(name(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn text_stands_for_one_error_only() {
        for (errno, texts) in &ERRNOS {
            for (language, text) in *texts {
                assert_eq!(name(text.as_bytes()), Some(*errno), "{language} {text}");
            }
        }
    }

    #[test]
    fn neighbour_cannot_provoke_an_error_of_the_filesystem() {
        assert!(comes_from_the_filesystem("EXDEV"));
        assert!(!comes_from_the_filesystem("EPERM"));
    }
}
