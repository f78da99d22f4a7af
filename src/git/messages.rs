//! The messages that git writes when a hard link fails, in every wording of every release: a table, and nothing else.
//!
//! The texts are those of git's catalogues (po/*.po, versions up to 2.55.0) as they are: `%s` is the path. To add one, put
//! it where it belongs: by message, English first, then by language and age.

/// A message of git's about a failure that `--no-hardlinks` cures (`copy_or_link_directory` in builtin/clone.c).
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name in our log.
    pub name: &'static str,
    /// Whether `: ` and the text of an errno follow (strerror(3)).
    pub(super) tells_why: bool,
    /// Each language, and the message in it.
    pub(super) wordings: &'static [(&'static str, &'static str)],
}

/// The three messages.
pub(super) static MESSAGES: [Message; 3] = [
    // link(2) failed, and `--local` was asked for: since 1.5.6, in this English since 1.6.4.
    Message {
        name: "link refused",
        tells_why: true,
        wordings: &[
            ("en", "failed to create link '%s'"),
            ("bg", "връзката „%s“ не може да бъде създадена"), // before 2.50.0
            ("bg", "връзката „%s“ не може да се създаде"),
            ("ca", "s'ha fallat al crear l'enllaç '%s'"), // before 2.2.0
            ("ca", "s'ha fallat en crear l'enllaç '%s'"), // before 2.12.0
            ("ca", "s'ha produït un error en crear l'enllaç '%s'"), // before 2.15.0
            ("ca", "s'ha produït un error en crear l'enllaç «%s»"),
            ("de", "Verknüpfung '%s' konnte nicht erstellt werden."), // up to 1.7.10.2
            ("de", "Konnte Verknüpfung '%s' nicht erstellen"),        // before 1.8.4
            ("de", "Konnte Verweis '%s' nicht erstellen"),
            ("el", "απέτυχε η δημιουργία του δεσμού '%s'"),
            ("es", "fallo al crear link '%s'"), // before 2.18.0
            ("es", "falló al crear link '%s'"),
            ("fr", "echec de la création du lien '%s'"), // up to 1.8.4
            ("fr", "échec de la création du lien '%s'"),
            ("ga", "theip ar nasc '%s' a chruthú"),
            ("id", "gagal membuat tautan '%s'"),
            ("it", "creazione del link '%s' non riuscita"), // before 2.21.0
            ("it", "creazione del collegamento '%s' non riuscita"),
            ("ko", "'%s' 링크를 만드는데 실패했습니다"),
            ("pl", "nie można utworzyć dowiązania „%s”"),
            ("pt_PT", "falha ao criar a ligação '%s'"), // before 2.34.0
            ("pt_PT", "falhou criar a ligação '%s'"),
            ("ru", "не удалось создать ссылку «%s»"),
            ("sv", "misslyckades skapa länken \"%s\""), // before 2.43.0
            ("sv", "misslyckades skapa länken ”%s”"),
            ("tr", "'%s' bağı oluşturulamadı"),
            ("uk", "не вдалося створити посилання '%s'"), // before 2.42.0
            ("uk", "не вдалося створити посилання \"%s\""),
            ("vi", "tạo được liên kết mềm tới %s gặp lỗi"), // up to 1.7.12
            ("vi", "gặp lỗi khi tạo được liên kết mềm %s"), // before 2.46.0
            ("vi", "gặp lỗi khi tạo liên kết mềm %s"),
            ("zh_CN", "创建链接 '%s' 失败"), // before 2.35.0
            ("zh_CN", "无法创建链接 '%s'"),
            ("zh_TW", "建立連結 '%s' 失敗"), // before 2.49.0
            ("zh_TW", "建立連結「%s」失敗"),
        ],
    },
    // link(2) succeeded, and what it made is not the same file: since 2.39.4 and 2.45.1, with or without `--local`.
    Message {
        name: "link differs from its source",
        tells_why: false,
        wordings: &[
            ("en", "hardlink different from source at '%s'"),
            ("bg", "твърдата връзка е различна от източника „%s“"),
            ("ca", "l'enllaç físic és diferent de la font en «%s»"),
            ("de", "Hardlink unterscheidet sich von der Quelle bei '%s'"),
            ("fr", "le lien dur est différent de la source à '%s'"),
            ("ga", "crua-nasc difriúil ó fhoinse ag '%s'"),
            ("id", "tautan keras berbeda dari sumber pada '%s'"),
            ("sv", "hård länk skiljer sig från källan vid ”%s”"),
            ("tr", "sabit bağlantı, '%s' konumundaki kaynaktan farklı"),
            ("uk", "жорстке посилання відрізняється від джерела в \"%s\""),
            ("vi", "liên kết cứng '%s' khác với nguồn"),
            ("zh_CN", "硬链接与 '%s' 处的源不同"), // before 2.49.0
            ("zh_CN", "硬链接与 '%s' 处的来源不同"),
            ("zh_TW", "硬連結與位於 '%s' 的來源不同"), // before 2.49.0
            ("zh_TW", "硬連結與位於「%s」的來源不同"),
        ],
    },
    // link(2) succeeded, and what it made cannot be looked at: likewise.
    Message {
        name: "link cannot be checked",
        tells_why: false,
        wordings: &[
            ("en", "hardlink cannot be checked at '%s'"),
            ("bg", "твърдата връзка не може да се провери при „%s“"),
            ("ca", "no es pot comprovar l'enllaç físic en «%s»"),
            ("de", "Hardlink bei '%s' kann nicht geprüft werden"),
            ("fr", "le lien dur ne peut pas être vérifier à '%s'"), // before 2.48.0
            ("fr", "le lien dur ne peut pas être vérifié à '%s'"),
            ("ga", "ní féidir crua-nasc a sheiceáil ag '%s'"),
            ("id", "tautan keras tidak dapat diperiksa pada '%s'"),
            ("sv", "hård länk kan inte kontrolleras vid ”%s”"),
            ("tr", "sabit bağlantı, '%s' konumunda denetlenemiyor"),
            ("uk", "неможливо перевірити жорстке посилання \"%s\""),
            ("vi", "không thể kiểm tra liên kết cứng '%s'"),
            ("zh_CN", "无法检查 '%s' 处的硬链接"),
            ("zh_TW", "無法檢查位於「%s」的硬連結"),
        ],
    },
];

/// The prefix of each message with which git dies: the language, and the prefix. Translated since 2.37.2.
///
/// Any of them can precede any message: an older git, or a catalogue that has only one of the two, mixes English in, and
/// with `LANGUAGE=vi:sv` a Vietnamese message follows a Swedish prefix.
pub(super) static PREFIXES: &[(&str, &str)] = &[
    ("en", "fatal: "),
    ("bg", "фатална грешка: "), // before 2.53.0
    ("bg", "ФАТАЛНА ГРЕШКА: "),
    ("de", "Schwerwiegend: "),
    ("fr", "fatal\u{a0}: "),
    ("ga", "marfach: "),
    ("sv", "ödesdigert: "),
    ("tr", "onulmaz: "),
    ("uk", "збій: "),
    ("vi", "lỗi nghiêm trọng: "),
    ("zh_CN", "致命错误："),
    ("zh_TW", "致命錯誤："), // before 2.39.0
    ("zh_TW", "致命錯誤: "),
];

/// The line that git writes when it has made every link: the language, and the line (`clone_local` in builtin/clone.c).
pub(super) static DONE: &[(&str, &str)] = &[
    ("en", "done.\n"),
    ("bg", "действието завърши.\n"),
    ("ca", "fet.\n"),
    ("de", "Fertig.\n"),
    ("el", "ολοκληρώθηκε.\n"),
    ("es", "hecho.\n"),
    ("fr", "fait.\n"),
    ("ga", "déanta.\n"),
    ("id", "selesai.\n"),
    ("it", "fatto.\n"),
    ("ko", "완료.\n"),
    ("pl", "gotowe.\n"),
    ("pt_PT", "terminado.\n"), // before 2.8.0
    ("pt_PT", "concluído.\n"),
    ("ru", "готово.\n"), // and in Ukrainian
    ("sv", "klart.\n"),
    ("tr", "bitti.\n"),
    ("vi", "hoàn tất.\n"),
    ("zh_CN", "完成。\n"), // and in zh_TW
];
